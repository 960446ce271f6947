#!/bin/sh
# Run the core of the test suite on older processors, emulated by QEMU: no illegal instructions, and the same results.
#
#     scripts/portability.sh PYTHON [pytest arguments]       CPUS="Nehalem max" scripts/portability.sh …
#
# Nehalem has no AVX, Denverton is an Atom without AVX, Haswell has AVX2, max is all that QEMU supports. Minutes each.
set -eu
python=$1
shift
if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-x86_64 >/dev/null; then
    echo "not run: this needs x86-64 and qemu-x86_64 (apt-get install qemu-user)" >&2
    exit 1
fi
# If set, they name instructions of the host's processor.
unset OPENBLAS_CORETYPE ONEDNN_MAX_CPU_ISA
for cpu in ${CPUS:-Nehalem Denverton Haswell max}; do
    echo "as on $cpu"
    # Without the longest property tests: each takes longer than all others together.
    QEMU_CPU=$cpu qemu-x86_64 "$python" -m pytest -q -p no:cacheprovider -p no:xdist \
        -k "not any_logits and not highest_mean and not as_published and not pycocotools" \
        tests/m2fp/kernels/test_levels.py tests/m2fp/kernels/test_runs.py tests/m2fp/kernels/test_preprocess.py \
        tests/m2fp/kernels/test_loader.py tests/m2fp/kernels/test_arrays.py tests/m2fp/postprocess \
        tests/imaging/test_png.py tests/imaging/test_rle.py tests/m2fp/engines/test_portable.py "$@"
done
