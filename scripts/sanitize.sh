#!/bin/sh
# Build the kernels with address and undefined-behaviour sanitizers, in a separate folder, and run their tests.
#
#     scripts/sanitize.sh PYTHON [pytest arguments]
#
# An invalid access ends the tests with the sanitizer's report.
set -eu
python=$1
shift
cc=${CC:-cc}
here=$(cd "$(dirname "$0")/.." && pwd)
if ! command -v "$cc" >/dev/null; then
    echo "not run: no C compiler ($cc); apt-get install gcc" >&2
    exit 0
fi
place=$here/build/sanitize
rm -rf "$place"
mkdir -p "$place"
cp -r "$here/edge_worker" "$here/tests" "$here/pyproject.toml" "$place"
kernels=$place/edge_worker/m2fp/kernels
rm -f "$kernels"/*.so
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
digest=$(cd "$place" && "$python" -c 'from edge_worker.m2fp.kernels.loader import source_digest; print(source_digest())')
for source in "$kernels"/*.c; do
    name=$(basename "$source" .c)
    "$cc" -shared -fPIC -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
        -fno-math-errno -fno-trapping-math "-DKERNEL_SOURCE=\"$digest\"" -o "$kernels/_$name$suffix" "$source" -lm
done
cd "$place"
# No leak check: it would report the interpreter's own. No signal stacks: OpenVINO has its own for AMX.
export ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=0:abort_on_error=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
LD_PRELOAD="$("$cc" -print-file-name=libasan.so) $("$cc" -print-file-name=libubsan.so)" \
    "$python" -m pytest -q -s -m "not openvino" -p no:cacheprovider "$@"
