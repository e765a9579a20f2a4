<?php
// Times PHP's own codecs: nanoseconds for one call, over as many calls as asked for.
class Nowhere implements SessionHandlerInterface {
    public function open($path, $name): bool { return true; }
    public function close(): bool { return true; }
    public function read($id): string|false { return ''; }
    public function write($id, $data): bool { return true; }
    public function destroy($id): bool { return true; }
    public function gc($lifetime): int|false { return 0; }
}
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
session_set_save_handler(new Nowhere, false);
ob_start();

function timed(int $calls, callable $call): float {
    $begin = hrtime(true);
    for ($i = 0; $i < $calls; $i++) $call();
    return (hrtime(true) - $begin) / $calls;
}

function measure(string $handler, string $step, int $calls, string $data): float {
    if ($handler === 'serialize') {
        $value = unserialize($data);
        return $step === 'read' ? timed($calls, fn() => unserialize($data)) : timed($calls, fn() => serialize($value));
    }
    ini_set('session.serialize_handler', $handler);
    session_start();
    session_decode($data);
    $took = $step === 'read' ? timed($calls, fn() => session_decode($data)) : timed($calls, fn() => session_encode());
    session_abort();
    return $took;
}

while (($line = fgets(STDIN)) !== false) {
    [$handler, $step, $calls, $data] = explode(' ', rtrim($line, "\n"));
    fwrite(STDOUT, measure($handler, $step, (int) $calls, base64_decode($data)) . "\n");
}
