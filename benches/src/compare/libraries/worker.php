<?php
// Answers one line for each line on its standard input: a request of an application.
set_error_handler(function ($number, $text) { throw new ErrorException($text); });
ob_start();

function open(string $id, array $options = []): void {
    session_id($id);
    if (!session_start($options)) throw new Exception('session_start');
}

function answer(array $words): string {
    $id = $words[1] ?? '';
    switch ($words[0]) {
        case 'echo':
            return '';
        case 'create':
            open('');
            $part = intdiv((int) $words[1] + 7, 8);
            for ($i = 0; $i < 8; $i++) $_SESSION["part$i"] = substr(bin2hex(random_bytes($part)), 0, $part);
            $_SESSION['count'] = 0;
            break;
        case 'read':
            open($id, ['read_and_close' => true]);
            return isset($_SESSION[$words[2]]) ? '1' : '0';
        case 'touch':
            open($id);
            $there = isset($_SESSION[$words[2]]);
            break;
        case 'change':
            open($id);
            $count = $_SESSION['count'] ?? 0;
            if ((int) $words[3] > 0) usleep((int) $words[3]);
            $_SESSION['count'] = $count + 1;
            $_SESSION[$words[2]] = 1;
            break;
        case 'destroy':
            open($id);
            session_destroy();
            return '';
        case 'rotate':
            open($id);
            session_regenerate_id(true);
            break;
        case 'kept':
            open($id, ['read_and_close' => true]);
            return ($_SESSION['count'] ?? '-') . ' ' . implode(' ', array_keys($_SESSION));
    }
    $now = session_id();
    session_write_close();
    return $now;
}

while (($line = fgets(STDIN)) !== false) {
    try {
        $text = 'ok ' . answer(explode(' ', rtrim($line, "\n")));
    } catch (Throwable $error) {
        if (session_status() === PHP_SESSION_ACTIVE) session_abort();
        $text = 'error ' . strtr($error->getMessage(), "\n", ' ');
    }
    ob_clean();
    fwrite(STDOUT, $text . "\n");
}
