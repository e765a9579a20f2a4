<?php
// PHP's side of the application; `rust.rs` is the other. Where and how sessions are kept is in PHP's settings.
declare(strict_types=1);

const BY = 'PHP';

function count_one_up(): void {
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    $_SESSION['by'] = BY;
}

// The session gets a new id, so that whoever saw the old one holds nothing.
function log_in(mixed $user): void {
    $user = is_string($user) ? trim($user) : '';
    if ($user === '' || strlen($user) > 80 || preg_match('//u', $user) !== 1) {
        return;
    }
    session_regenerate_id(true);
    $_SESSION['user'] = $user;
    $_SESSION['by'] = BY;
}

function log_out(): void {
    session_destroy();
    $cookie = array_diff_key(session_get_cookie_params(), ['lifetime' => 0]);
    setcookie(session_name(), '', $cookie + ['expires' => 1]);
}

// What Rust's side calls the session in its logs: nobody can make the id of it.
function log_name(): string {
    $key = hash('sha256', "session key\0" . session_id(), true);
    return substr(hash('sha256', "session log id\0" . $key), 0, 12);
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    session_start();
    match (basename((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH))) {
        'count' => count_one_up(),
        'login' => log_in($_POST['user'] ?? null),
        'logout' => log_out(),
        default => null,
    };
    header('Location: /php/', true, 303);
    exit;
}

// A look needs no session of its own, and no lock any longer than it takes to read.
if (isset($_COOKIE[session_name()])) {
    session_start(['read_and_close' => true]);
}
$user = $_SESSION['user'] ?? null;
$status = is_string($user) ? "You are $user" : 'Nobody is logged in';
$session = empty($_SESSION) ? 'none yet' : log_name();
$show = fn (mixed $text): string => htmlspecialchars((string) $text);
?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>One session, two languages: PHP</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <header>
    <h1>One session, two languages</h1>
    <p class="served">answered by <b id="side">PHP</b>; the same page <a id="other" href="/rust/">by Rust</a></p>
  </header>
  <main>
    <section aria-labelledby="you">
      <h2 id="you">You</h2>
      <p id="status" role="status"><?= $show($status) ?></p>
      <form action="/php/login" method="post">
        <label for="user">Name</label>
        <div class="row">
          <input id="user" name="user" autocomplete="username" maxlength="80" required placeholder="alice">
          <button id="login">Log in</button>
        </div>
      </form>
      <form action="/php/logout" method="post"><button id="logout" class="quiet">Log out</button></form>
      <p class="note">A log-in gives the session a new id. A log-out ends it on both sides.</p>
    </section>
    <section aria-labelledby="visits">
      <h2 id="visits">Counter</h2>
      <p class="figure"><output id="count"><?= $show($_SESSION['count'] ?? 0) ?></output></p>
      <form action="/php/count" method="post"><button id="count-button">Count one up</button></form>
      <p class="note">Last changed by <b id="by"><?= $show($_SESSION['by'] ?? 'nobody') ?></b>. Session <b id="session"><?= $session ?></b>: what logs of both sides may call it.</p>
    </section>
  </main>
</body>
</html>
