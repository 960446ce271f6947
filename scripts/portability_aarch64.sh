#!/bin/sh
# Run the core of the test suite on Arm, emulated by QEMU: Debian's Python for aarch64, wheels from PyPI, and
# cross-compiled kernels.
#
#     scripts/portability_aarch64.sh PYTHON [pytest arguments]      ARM_CPUS=max scripts/portability_aarch64.sh …
#
# Its files are installed once, in .tools/aarch64: 2 GB. cortex-a72 is a Raspberry Pi 4, cortex-a76 a Raspberry Pi 5.
set -eu
python=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
place=$here/.tools/aarch64
root=$place/root
PATH=$PATH:/usr/sbin

fail() {
    echo "not run: $*" >&2
    exit 1
}

for program in qemu-aarch64 aarch64-linux-gnu-gcc debootstrap dpkg-deb; do
    command -v "$program" >/dev/null ||
        fail "this needs $program (apt-get install qemu-user gcc-aarch64-linux-gnu debootstrap)"
done

# Debian 12 for aarch64, only unpacked: nothing but its Python is run.
unpack_system() {
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root, the first time"
    rm -rf "$root"
    mkdir -p "$root"
    echo "fetching Debian for aarch64 into $root" >&2
    debootstrap --arch=arm64 --foreign --variant=minbase --include=python3.11,python3-distutils,libgomp1 \
        bookworm "$root" >"$place/debootstrap.log" 2>&1 || fail "debootstrap could not fetch it; see $place/debootstrap.log"
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$root"/var/cache/apt/archives
    touch "$place/.system"
}

# Wheels for it, with the host's pip. pip would evaluate markers for the host: hence torch and its dependencies by name.
# 2.6.0 crashes with an illegal instruction on a Cortex-A72 when it traces; later wheels are several times as large.
install_wheels() {
    echo "fetching wheels for aarch64" >&2
    rm -rf "$place/wheels"
    tags="--platform manylinux2014_aarch64 $(printf ' --platform manylinux_2_%s_aarch64' 17 24 26 27 28 31 34 35 36)"
    dependencies=$("$python" -c '
import tomllib
print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))')
    printf '%s\n' "$dependencies" onnxruntime hypothesis jsonschema psutil pytest pytest-timeout setuptools zlib-ng \
        >"$place/wheels.txt"
    # shellcheck disable=SC2086
    fetch="$python -m pip install --quiet --disable-pip-version-check --no-compile --target $place/wheels
        --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none $tags --only-binary=:all:"
    $fetch -r "$place/wheels.txt" && $fetch --upgrade --no-deps torch==2.5.1 onnx ml_dtypes protobuf sympy==1.13.1 mpmath networkx \
        jinja2 markupsafe fsspec filelock typing_extensions || fail "pip could not fetch wheels for aarch64"
    touch "$place/.wheels"
}

# A Python wrapper: sys.executable is the wrapper, so subprocesses are emulated, too.
make_python() {
    mkdir -p "$place/bin"
    printf 'home = %s/usr/bin\n' "$root" >"$place/pyvenv.cfg"
    printf '#!/bin/sh\nexec qemu-aarch64 -L "%s" -0 "$0" "%s" "$@"\n' "$root" "$root/usr/bin/python3.11" >"$place/bin/python"
    chmod +x "$place/bin/python"
    ln -sf "$(command -v aarch64-linux-gnu-gcc)" "$place/bin/cc" # for tests that compile
}

# Processor information that programs read and QEMU takes from the host: that of the board with this processor.
describe_processor() {
    case $1 in
        cortex-a72) part=0xd08 features="fp asimd evtstrm crc32 cpuid" ;;
        *) part=0xd0b features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp" ;;
    esac
    mkdir -p "$root/proc"
    for processor in 0 1 2 3; do
        printf 'processor\t: %s\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\n' "$processor" "$features"
        printf 'CPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 3\n\n' "$part"
    done >"$root/proc/cpuinfo"
}

cd "$here"
mkdir -p "$place"
[ -e "$place/.system" ] || unpack_system
[ "$place/.wheels" -nt pyproject.toml ] || install_wheels
make_python

# Separate from the host's kernels.
copy=$here/build/aarch64
rm -rf "$copy"
mkdir -p "$copy"
cp -r edge_worker tests pyproject.toml setup.py README.md LICENSE "$copy"
cd "$copy"
rm -f edge_worker/m2fp/kernels/*.so
export PYTHONPATH="$place/wheels" PATH="$place/bin:$PATH"
CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" "$place/bin/python" setup.py -q build_ext --inplace
unset OPENBLAS_CORETYPE ONEDNN_MAX_CPU_ISA # if set, they name instructions of the host's processor
for cpu in ${ARM_CPUS:-cortex-a72 cortex-a76}; do
    echo "as on $cpu"
    describe_processor "$cpu"
    # Without the property tests: each takes minutes.
    QEMU_CPU=$cpu "$place/bin/python" -m pytest -q -p no:cacheprovider --timeout 0 -m "not hypothesis" \
        -k "not as_published and not pycocotools and not without_the_kernel" \
        tests/m2fp/kernels tests/m2fp/postprocess tests/imaging/test_png.py tests/imaging/test_rle.py \
        tests/m2fp/engines/test_portable.py "$@"
done
