# shellcheck shell=bash
# The cluster as kind makes it, with Docker; sourced by `cluster`.

container() { echo "$NAME-worker$( (($1 == 1)) || echo "$1")"; }

cluster_up() { # NODES
  local n letter config="$DIR/kind.yaml"
  "$HERE/build-tools" helm kubeconform
  command -v kubectl >/dev/null || die "kubectl is needed beside kind"
  {
    printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n'
    for ((n = 1; n <= $1; n++)); do
      letter=$(printf "\\x$(printf %x $((96 + n)))")
      printf -- '- role: worker\n  labels: {topology.kubernetes.io/zone: %s-%s, topology.kubernetes.io/region: %s}\n' \
        "$NAME" "$letter" "$NAME"
    done
  } >"$config"
  kind create cluster --name "$NAME" --config "$config" --kubeconfig "$KUBECONFIG_FILE" --wait 120s
}

cluster_down() {
  kind delete cluster --name "$NAME" >/dev/null 2>&1 || true
  rm -rf "$DIR"
}

cluster_load() { kind load image-archive "$1" --name "$NAME"; }

cluster_node() { # N ACTION
  local node
  node=$(container "$1")
  case $2 in
    stop) docker kill --signal KILL "$node" >/dev/null ;;
    start) docker start "$node" >/dev/null ;;
    pause) docker pause "$node" >/dev/null ;;
    resume) docker unpause "$node" >/dev/null ;;
    cut) docker network disconnect kind "$node" ;;
    heal) docker network connect kind "$node" ;;
    *) die "unknown action: $2" ;;
  esac
}

cluster_api() { # stop|start : the kubelet follows the folder of static pods
  local manifests=/etc/kubernetes/manifests
  case $1 in
    stop) docker exec "$NAME-control-plane" mv $manifests/kube-apiserver.yaml /etc/kubernetes/ ;;
    start) docker exec "$NAME-control-plane" mv /etc/kubernetes/kube-apiserver.yaml $manifests/ ;;
    *) die "unknown action: $1" ;;
  esac
}

addresses() { # NAME : of the nodes, one a line
  local node
  for node in $(kind get nodes --name "$1" 2>/dev/null); do
    docker inspect -f '{{(index .NetworkSettings.Networks "kind").IPAddress}}' "$node"
  done
}

# The control plane's node has a kube-proxy and no zone: no test kills it.
cluster_address() { docker inspect -f '{{(index .NetworkSettings.Networks "kind").IPAddress}}' "$NAME-control-plane"; }

cluster_link() { # OTHER ACTION : what pods send leaves their node with its address
  local node address direction rule
  for node in $(kind get nodes --name "$NAME"); do
    for address in $(addresses "$1"); do
      for direction in -s -d; do
        rule=(FORWARD "$direction" "$address" -j DROP)
        case $2 in
          cut) docker exec "$node" iptables -C "${rule[@]}" 2>/dev/null || docker exec "$node" iptables -I "${rule[@]}" ;;
          heal) docker exec "$node" iptables -D "${rule[@]}" 2>/dev/null || true ;;
          *) die "unknown action: $2" ;;
        esac
      done
    done
  done
}

cluster_wipe() { die "kind's own components live in its etcd: it can't be emptied"; }

cluster_run() { die "Service addresses are not reachable from outside of kind: use kubectl port-forward"; }
