#!/bin/sh
# The seed of the fuzzer: a library with functions of the usual shapes, small enough for its inputs.
#     tests/data/make.sh writes libtls.so beside itself
set -eu
cd "$(dirname "$0")"
cc -shared -fPIC -O2 -nostdlib -fstack-protector-all -fcf-protection=none -Wl,-z,noseparate-code -s -o libtls.so libtls.c
