<?php
// Plays one script of session functions and writes down, line by line, what happens: the calls of the save
// handler, what PHP warns of, results. Bytes are percent-encoded.
error_reporting(E_ALL);
$job = json_decode(file_get_contents(getenv('FOLDER') . '/job.json'));
// Without being named, $_SERVER is not there, and PHP does not look at the referer.
$_SERVER['HTTP_REFERER'] ?? null;
$out = fopen(getenv('FOLDER') . '/transcript', 'wb');
stream_set_write_buffer($out, 0);
function line(string $line): void { fwrite($GLOBALS['out'], $line . "\n"); }
function text(mixed $value): string {
    return match (true) {
        $value === true => 'true',
        $value === false => 'false',
        $value === null => 'null',
        is_int($value) => (string) $value,
        default => '"' . rawurlencode((string) $value) . '"',
    };
}
set_error_handler(function (int $level, string $message): bool {
    // Where in a script it was is no part of what is compared.
    $message = preg_replace('/ \((output started at|sent from|started from) .*\)$/', '', $message);
    line("says $level " . rawurlencode($message));
    return true;
});

class Log {
    public static array $store = [];
    public static array $ids = [];
    public static array $fails = [];
    private static array $counts = [];
    /** Whether the call shall work, and the line of it. */
    public static function call(string $slot, array $arguments): bool {
        $count = self::$counts[$slot] = (self::$counts[$slot] ?? 0) + 1;
        $works = !in_array("$slot:$count", self::$fails, true);
        line("call $slot(" . implode(', ', array_map(text(...), $arguments)) . ')' . ($works ? '' : ' fails'));
        return $works;
    }
}

trait Mandatory {
    public function open(string $path, string $name): bool { return Log::call('open', [$path, $name]); }
    public function close(): bool { return Log::call('close', []); }
    public function read(string $id): string|false { return Log::call('read', [$id]) ? Log::$store[$id] ?? '' : false; }
    public function write(string $id, string $data): bool {
        $works = Log::call('write', [$id, $data]);
        if ($works) Log::$store[$id] = $data;
        return $works;
    }
    public function destroy(string $id): bool {
        $works = Log::call('destroy', [$id]);
        if ($works) unset(Log::$store[$id]);
        return $works;
    }
    public function gc(int $lifetime): int|false { return Log::call('gc', [$lifetime]) ? 7 : false; }
}
trait Ids {
    public function create_sid(): string { Log::call('create_sid', []); return array_shift(Log::$ids) ?? 'last'; }
}
trait Stamps {
    public function validateId(string $id): bool { return Log::call('validate_sid', [$id]) && array_key_exists($id, Log::$store); }
    public function updateTimestamp(string $id, string $data): bool { return Log::call('update_timestamp', [$id, $data]); }
}
class None implements SessionHandlerInterface { use Mandatory; }
class WithIds implements SessionHandlerInterface, SessionIdInterface { use Mandatory, Ids; }
class WithStamps implements SessionHandlerInterface, SessionUpdateTimestampHandlerInterface { use Mandatory, Stamps; }
class All implements SessionHandlerInterface, SessionIdInterface, SessionUpdateTimestampHandlerInterface { use Mandatory, Ids, Stamps; }

foreach ($job->store as [$id, $data]) Log::$store[rawurldecode($id)] = rawurldecode($data);
Log::$ids = array_map(rawurldecode(...), $job->ids);
Log::$fails = $job->fails;

function play(object $op): mixed {
    $text = isset($op->text) ? rawurldecode($op->text) : null;
    switch ($op->op) {
        case 'start':
            $options = [];
            foreach ($op->settings as [$name, $value]) $options[rawurldecode($name)] = rawurldecode($value);
            if ($op->read_and_close) $options['read_and_close'] = true;
            return session_start($options);
        case 'write_close': return session_write_close();
        case 'abort': return session_abort();
        case 'reset': return session_reset();
        case 'regenerate': return session_regenerate_id(false);
        case 'regenerate_delete': return session_regenerate_id(true);
        case 'destroy': return session_destroy();
        case 'unset': return session_unset();
        case 'gc': return session_gc();
        case 'set_id': return session_id($text) !== false;
        case 'create_id': return session_create_id($text);
        case 'set_name': return session_name($text) !== false;
        case 'encode': return session_encode();
        case 'decode': return session_decode($text);
        case 'ini_set': return ini_set(rawurldecode($op->name), $text) !== false;
        case 'set':
            if (is_array($_SESSION ?? null)) $_SESSION[rawurldecode($op->name)] = unserialize($text);
            return null;
        case 'remove':
            if (is_array($_SESSION ?? null)) unset($_SESSION[rawurldecode($op->name)]);
            return null;
        case 'send_headers':
            echo 'x';
            ob_end_flush();
            flush();
            ob_start();
            return null;
    }
    throw new LogicException("no op $op->op");
}

/** What there is to see from outside. */
function state(): string {
    $data = match (true) {
        !isset($_SESSION) || !is_array($_SESSION) => 'null',
        default => text(serialize($_SESSION)),
    };
    $cookie = session_get_cookie_params();
    return 'state ' . implode(' ', [
        session_status(), text(session_id()), text(session_name()), text(get_defined_constants()['SID'] ?? null), $data,
        session_cache_expire(), text(session_cache_limiter()), $cookie['lifetime'], text($cookie['secure']), text($cookie['samesite']),
    ]);
}

ob_start();
session_set_save_handler(new $job->handler, true);
foreach ($job->ops as $at => $op) {
    line("op $at " . time());
    try {
        $result = text(play($op));
    } catch (Throwable $thrown) {
        line('says 1 ' . rawurlencode($thrown->getMessage()));
        $result = 'thrown';
    }
    line('time ' . time());
    line("gives $result");
    line(state());
}
line('op end ' . time());
