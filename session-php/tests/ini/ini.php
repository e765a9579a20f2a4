<?php
// Answers each ini file, as JSON, with what PHP reads in it.
while (($line = fgets(STDIN)) !== false) {
    $read = @parse_ini_string(json_decode($line));
    echo json_encode($read === false ? null : (object) $read), "\n";
}
