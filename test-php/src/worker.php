<?php
// Answers each line on standard input, a command as JSON, with one line of JSON. What is printed goes
// past PHP's output layer, so that sessions can be started again and again.

$notes = [];
set_error_handler(function (int $level, string $text) use (&$notes): bool {
    $notes[] = $text;
    return true;
});
eval(getenv('TEST_PHP_PRELUDE') ?: '');

function start(object $command): bool
{
    session_id($command->id ?? '');
    return session_start(isset($command->read_only) ? ['read_and_close' => true] : []);
}

function count_up(object $command): int
{
    global $notes;
    $tries = 0;
    for ($done = 0; $done < $command->times; $done += (int) $counts) {
        $tries += 1;
        $notes = [];
        $counts = false;
        try {
            $counts = start($command);
            if ($counts) {
                $_SESSION[$command->name] = ($_SESSION[$command->name] ?? 0) + 1;
                session_write_close();
            }
        } catch (Exception $thrown) {
            $notes[] = $thrown->getMessage();
        }
        $counts = $counts && $notes === [];
    }
    return $tries;
}

function run(object $command): array
{
    return match ($command->do) {
        'start' => ['ok' => start($command)],
        'set' => ['ok' => ($_SESSION[$command->name] = $command->value) !== null],
        'close' => ['ok' => session_write_close()],
        'abort' => ['ok' => session_abort()],
        'destroy' => ['ok' => session_destroy()],
        'regenerate' => ['ok' => session_regenerate_id($command->delete)],
        'gc' => ['number' => (int) session_gc()],
        'count' => ['number' => count_up($command)],
        'empty' => ['ok' => ($_SESSION = []) === []],
    };
}

while (($line = fgets(STDIN)) !== false) {
    $notes = [];
    try {
        $answer = run(json_decode($line)) + ['ok' => true];
    } catch (Throwable $thrown) {
        $answer = ['ok' => false];
        $notes[] = $thrown->getMessage();
    }
    $vars = (object) ($_SESSION ?? []);
    fwrite(STDOUT, json_encode($answer + ['id' => session_id(), 'vars' => $vars, 'notes' => $notes]) . "\n");
}
