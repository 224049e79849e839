#!/bin/sh
# Lays out what the image adds to its base: the executable, and the folder that the data volume covers.
# sh scripts/docker-layout.sh EXECUTABLE FOLDER
set -eu
executable=$1
folder=$2
mkdir -p "$folder/usr/local/bin" "$folder/data"
cp "$executable" "$folder/usr/local/bin/igris"
chmod 0755 "$folder/usr/local/bin/igris"
chmod 0700 "$folder/data"
# An executable that does not start must not become an image.
"$folder/usr/local/bin/igris" version
