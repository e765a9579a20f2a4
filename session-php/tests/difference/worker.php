<?php
// Answers questions about sessions and values, one a line; bytes are in base64.
error_reporting(E_ALL);
$said = [];
set_error_handler(function ($level, $message) use (&$said) { $said[] = $message; return true; });

class Bag { public array $all = []; public function __serialize(): array { return $this->all; } public function __unserialize(array $all): void { $this->all = $all; } }
class Old implements Serializable { public $text = ''; public function serialize() { return $this->text; } public function unserialize($text) { $this->text = $text; } }
class Vis { public $pub = 1; protected $prot = 2; private $priv = 3; }
enum Unit { case A; case B; }
enum Suit: string { case Hearts = 'H'; case Spades = 'S'; }

/** Hands out one record, and keeps nothing. */
class Record implements SessionHandlerInterface {
    public string $data = '';
    public bool $destroyed = false;
    public function open($path, $name): bool { return true; }
    public function close(): bool { return true; }
    public function read($id): string|false { return $this->data; }
    public function write($id, $data): bool { return true; }
    public function destroy($id): bool { $this->destroyed = true; return true; }
    public function gc($lifetime): int|false { return 0; }
}
$record = new Record;
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
session_set_save_handler($record, false);

function start(string $handler, string $data): bool {
    global $record;
    if (session_status() === PHP_SESSION_ACTIVE) session_abort();
    $_SESSION = null;
    $record->data = $data;
    $record->destroyed = false;
    ini_set('session.serialize_handler', $handler);
    session_id('testid');
    return session_start();
}

/** What the session is stored as; "none" where PHP stores nothing of it. */
function encoded(): string {
    if (!is_array($_SESSION)) return 'odd';
    $bytes = session_encode();
    return $bytes === false ? 'none' : 'ok ' . base64_encode($bytes);
}

/** Loads a session with one serialiser, and saves it with another. */
function rewrite(string $from, string $data, string $to): string {
    if (!start($from, base64_decode($data))) return 'refused';
    if ($from === $to) return encoded();
    $all = $_SESSION;
    start($to, '');
    $_SESSION = $all;
    unset($all);
    return encoded();
}

/** Loads a session, and sets and unsets variables. */
function edit(string $handler, string $data, string ...$edits): string {
    if (!start($handler, base64_decode($data))) return 'refused';
    foreach ($edits as $edit) {
        [$name, $value] = explode('=', $edit, 2);
        $name = base64_decode(strtr($name, '.', '='));
        if ($value === '') unset($_SESSION[$name]);
        else $_SESSION[$name] = unserialize(base64_decode($value));
    }
    return encoded();
}

/** A value of JSON, from what serialize() wrote. */
function json(string $data): string {
    return 'ok ' . base64_encode(json_encode(unserialize(base64_decode($data)), JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR));
}

/** What serialize() makes of a value of JSON. */
function fromJson(string $data): string {
    return 'ok ' . base64_encode(serialize(json_decode(base64_decode($data), true, 512, JSON_THROW_ON_ERROR)));
}

/** Floats, given by their bits. */
function floats(string $precision, string ...$bits): string {
    ini_set('serialize_precision', $precision);
    $texts = array_map(fn($one) => serialize(unpack('E', hex2bin($one))[1]), $bits);
    ini_set('serialize_precision', '-1');
    return 'ok ' . base64_encode(implode('', $texts));
}

while (($line = fgets(STDIN)) !== false) {
    $words = explode(' ', rtrim($line, "\n"));
    $said = [];
    try {
        $answer = array_shift($words)(...$words);
    } catch (Throwable $thrown) {
        $answer = 'threw ' . base64_encode(get_class($thrown) . ': ' . $thrown->getMessage());
    }
    if (session_status() === PHP_SESSION_ACTIVE) session_abort();
    fwrite(STDOUT, $answer . "\t" . base64_encode(implode('; ', array_unique($said))) . "\n");
}
