<?php
// Sets settings, and writes down what PHP says and what the settings are then. Texts are percent-encoded.
error_reporting(E_ALL);
$job = json_decode(file_get_contents(getenv('FOLDER') . '/job.json'));
$out = fopen(getenv('FOLDER') . '/transcript', 'wb');
$said = [];
set_error_handler(function (int $level, string $message) use (&$said): bool {
    $said[] = rawurlencode($message);
    return true;
});
ob_start();
foreach ($job as [$name, $value]) {
    $said = [];
    $taken = ini_set(rawurldecode($name), rawurldecode($value)) !== false;
    $cookie = session_get_cookie_params();
    fwrite($out, implode(' ', [
        $taken ? 'taken' : 'refused',
        implode(',', $said),
        rawurlencode(session_name()),
        session_cache_expire(),
        $cookie['lifetime'],
        (int) $cookie['secure'],
        strlen(session_create_id()),
    ]) . "\n");
}
