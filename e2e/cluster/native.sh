# shellcheck shell=bash
# The cluster as processes of this machine, without Docker; sourced by `cluster`.
#
# etcd, API server, controller manager, scheduler, CoreDNS and the provisioner of volumes run in the machine's own network.
# Every node is a network namespace on one bridge, with its own containerd, kubelet and kube-proxy. One more namespace with
# a kube-proxy and no kubelet stands for a client's machine: in it Service addresses work, whichever node is killed.
# etcd runs without fsync: nothing here measures the durability of Kubernetes itself.

RUN=/run/cairn-e2e
PACKAGES=(containerd runc containernetworking-plugins iptables conntrack busybox-static openssl jq iproute2 procps gcc libc6-dev)

# A small number that no other cluster has: its networks and ports derive from it.
claim_index() {
  mkdir -p "$DIR"
  exec 9>"$STATE/.lock"
  flock 9
  if [[ ! -f $DIR/index ]]; then
    INDEX=1
    while grep -qsx "$INDEX" "$STATE"/*/index; do INDEX=$((INDEX + 1)); done
    ((INDEX < 40)) || die "too many clusters in $STATE"
    echo "$INDEX" >"$DIR/index"
  fi
  exec 9>&-
}

[[ $COMMAND == up ]] && claim_index
mkdir -p "$RUN"
INDEX=$(cat "$DIR/index" 2>/dev/null) || { [[ $COMMAND == down ]] && exit 0; die "there is no cluster $NAME"; }
BRIDGE=cairn$INDEX NET=172.29.$INDEX PODS=10.$((100 + INDEX)) SERVICES=10.$((160 + INDEX)).0 API_PORT=$((16540 + INDEX))
ETCD_CLIENT=$((24790 + INDEX)) ETCD_PEER=$((24890 + INDEX))

# The suite may run in a cluster's client namespace and call us from there, also for another cluster; processes and links
# belong to the machine's.
if [[ $COMMAND != run ]]; then
  for namespace in /run/netns/*-client; do
    if [[ /proc/self/ns/net -ef $namespace && -e ${namespace%-client}-host ]]; then
      exec nsenter --net="${namespace%-client}-host" "$HERE/cluster" "$COMMAND" "$NAME" "$@"
    fi
  done
fi

kube() { kubectl --kubeconfig "$KUBECONFIG_FILE" "$@"; }

spawn() { # LABEL COMMAND… : in the background, with a log and a pid file
  local label=$1
  shift
  CAIRN_E2E_CLUSTER=$NAME setsid "$@" >>"$DIR/log/$label.log" 2>&1 </dev/null &
  echo $! >"$DIR/pid/$label"
}

alive() { # LABEL : prints the pid, if it is still the process that was started
  local pid
  pid=$(cat "$DIR/pid/$1" 2>/dev/null) || return 1
  grep -qzx "CAIRN_E2E_CLUSTER=$NAME" "/proc/$pid/environ" 2>/dev/null && echo "$pid"
}

terminate() { # LABEL… : and waits until they are gone, so that ports and files are free
  local label pid
  for label in "$@"; do
    pid=$(alive "$label") || continue
    kill -9 "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && [[ $(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null) != Z ]]; do sleep 0.05; done
    rm -f "$DIR/pid/$label"
  done
}

wait_for() { # SECONDS WHAT COMMAND…
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "$what of $NAME is not ready; the logs are in $DIR/log"
    sleep 0.3
  done
}

install_packages() {
  local program missing=0
  for program in containerd runc iptables conntrack busybox openssl jq ip nsenter pgrep gcc; do
    command -v "$program" >/dev/null || missing=1
  done
  [[ -x /usr/lib/cni/bridge ]] || missing=1
  ((missing)) || return 0
  command -v apt-get >/dev/null || die "these Debian packages are needed: ${PACKAGES[*]}"
  echo "installing ${PACKAGES[*]}" >&2
  timeout 5m apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive timeout 15m apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >&2
}

certificates() {
  local pki=$DIR/pki
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -days 3650 -subj "/CN=$NAME-ca" 2>/dev/null
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  issue() { # FILE SUBJECT NAMES
    openssl req -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$2" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") 2>/dev/null
  }
  issue apiserver /CN=kube-apiserver \
    "IP:$NET.1,IP:127.0.0.1,IP:$SERVICES.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost"
  issue admin /O=system:masters/CN=admin DNS:localhost
  cat >"$KUBECONFIG_FILE" <<YAML
apiVersion: v1
kind: Config
current-context: $NAME
clusters: [{name: $NAME, cluster: {server: "https://$NET.1:$API_PORT", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}]
users: [{name: admin, user: {client-certificate-data: $(base64 -w0 "$pki/admin.crt"), client-key-data: $(base64 -w0 "$pki/admin.key")}}]
contexts: [{name: $NAME, context: {cluster: $NAME, user: admin}}]
YAML
}

# An image of one layer needs no image builder: it is two JSON files and a tar.
image_archive() { # NAME FOLDER ENTRYPOINT
  local work layer config
  work=$(mktemp -d)
  tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$2" -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  jq -nc --arg layer "sha256:$layer" --arg entry "$3" \
    '{architecture: "amd64", os: "linux", config: {Entrypoint: [$entry]}, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$work/config.json"
  config=$(sha256sum "$work/config.json" | cut -d' ' -f1).json
  mv "$work/config.json" "$work/$config"
  jq -nc --arg config "$config" --arg tag "localhost/$1:1" '[{Config: $config, RepoTags: [$tag], Layers: ["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$DIR/$1.tar" manifest.json "$config" layer.tar
  rm -rf "$work"
}

base_images() {
  local work applet
  work=$(mktemp -d)
  mkdir -p "$work/pause" "$work/busybox/bin"
  printf '#include <unistd.h>\n#include <signal.h>\nint main(void){signal(SIGTERM,_exit);for(;;)pause();}\n' >"$work/pause.c"
  gcc -Os -static -o "$work/pause/pause" "$work/pause.c"
  cp "$(command -v busybox)" "$work/busybox/bin/busybox"
  for applet in sh mkdir rm ls cat sleep wget nc nslookup; do ln -s busybox "$work/busybox/bin/$applet"; done
  image_archive pause "$work/pause" /pause
  image_archive busybox "$work/busybox" /bin/sh
  rm -rf "$work"
}

start_api() {
  local pki=$DIR/pki
  spawn apiserver kube-apiserver --etcd-servers "http://127.0.0.1:$ETCD_CLIENT" --secure-port "$API_PORT" --advertise-address "$NET.1" \
    --service-cluster-ip-range "$SERVICES.0/24" --authorization-mode Node,RBAC --allow-privileged \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
    --service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local --kubelet-preferred-address-types InternalIP
  wait_for 60 'the API server' kube get --raw /readyz
}

start_controllers() {
  local pki=$DIR/pki
  spawn controller-manager kube-controller-manager --kubeconfig "$KUBECONFIG_FILE" --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --cluster-signing-cert-file "$pki/ca.crt" \
    --cluster-signing-key-file "$pki/ca.key" --node-monitor-grace-period 16s --secure-port $((26200 + INDEX))
  spawn scheduler kube-scheduler --kubeconfig "$KUBECONFIG_FILE" --leader-elect=false --secure-port $((26300 + INDEX))
}

start_control_plane() {
  spawn etcd etcd --data-dir "$DIR/etcd" --unsafe-no-fsync --log-level warn --listen-client-urls "http://127.0.0.1:$ETCD_CLIENT" \
    --advertise-client-urls "http://127.0.0.1:$ETCD_CLIENT" --listen-peer-urls "http://127.0.0.1:$ETCD_PEER" \
    --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER" --initial-cluster "default=http://127.0.0.1:$ETCD_PEER"
  start_api
  start_controllers
  cat >"$DIR/Corefile" <<CORE
.:53 {
  bind $NET.1
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $KUBECONFIG_FILE $NAME
    ttl 1
  }
  cache 1
}
CORE
  spawn coredns coredns -conf "$DIR/Corefile"
}

start_provisioner() {
  wait_for 60 'the default service account' kube get serviceaccount default
  kube apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: local-path-storage}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: local-path-provisioner-service-account, namespace: local-path-storage}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
YAML
  printf '{"nodePathMap":[{"node":"DEFAULT_PATH_FOR_NON_LISTED_NODES","paths":["%s/volumes"]}]}\n' "$DIR" >"$DIR/local-path.json"
  cat >"$DIR/helper.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: helper-pod}
spec:
  containers: [{name: helper-pod, image: "localhost/busybox:1", imagePullPolicy: Never}]
YAML
  # The script is the helper pod's to expand.
  # shellcheck disable=SC2016
  kube -n local-path-storage create configmap local-path-config --dry-run=client -o yaml \
    --from-file=config.json="$DIR/local-path.json" --from-literal=setup='mkdir -m 0777 -p "$VOL_DIR"' \
    --from-literal=teardown='rm -rf "$VOL_DIR"' --from-file=helperPod.yaml="$DIR/helper.yaml" | kube apply -f - >/dev/null
  POD_NAMESPACE=local-path-storage spawn provisioner local-path-provisioner start --kubeconfig "$KUBECONFIG_FILE" \
    --config "$DIR/local-path.json" --namespace local-path-storage --configmap-name local-path-config --helper-image localhost/busybox:1
}

zone() { printf "%s-\\x$(printf %x $((96 + $1)))" "$NAME"; }

namespace_net() { # NAMESPACE LINK ADDRESS
  ip netns add "$1"
  ip link add "$2" type veth peer name eth0 netns "$1"
  ip link set "$2" master "$BRIDGE" up
  ip -n "$1" link set lo up
  ip -n "$1" addr add "$3/24" dev eth0
  ip -n "$1" link set eth0 up
  ip -n "$1" route add default via "$NET.1"
}

start_proxy() { # LABEL NAMESPACE HOSTNAME
  cat >"$DIR/$1.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $KUBECONFIG_FILE}
hostnameOverride: $3
clusterCIDR: $PODS.0.0/16
conntrack: {maxPerCore: 0, tcpCloseWaitTimeout: 0s, tcpEstablishedTimeout: 0s}
YAML
  spawn "$1" nsenter --net="/run/netns/$2" kube-proxy --config "$DIR/$1.yaml"
}

node_net() { # N
  local n=$1 namespace=$NAME-n$1
  namespace_net "$namespace" "${BRIDGE}n$n" "$NET.1$n"
  ip route replace "$PODS.$n.0/24" via "$NET.1$n"
  nsenter --net="/run/netns/$namespace" sysctl -qw net.ipv4.ip_forward=1
  nsenter --net="/run/netns/$namespace" sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
  mkdir -p "$DIR/n$n/cni"
  cat >"$DIR/n$n/cni/10-bridge.conflist" <<JSON
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$DIR/n$n/ipam","ranges":[[{"subnet":"$PODS.$n.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
}

start_containerd() { # N
  local n=$1 socket=$RUN/$NAME-n$1.sock image
  cat >"$DIR/n$n/containerd.toml" <<TOML
version = 2
root = "$DIR/n$n/containerd"
state = "$RUN/$NAME-n$n"
[grpc]
  address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$DIR/n$n/cni"
TOML
  spawn "n$n-containerd" nsenter --net="/run/netns/$NAME-n$n" containerd --config "$DIR/n$n/containerd.toml" --log-level warn
  wait_for 30 "containerd of node $n" ctr -a "$socket" version
  for image in pause busybox; do ctr -a "$socket" -n k8s.io images import "$DIR/$image.tar" >/dev/null; done
}

start_kubelet() { # N
  local n=$1
  printf 'nameserver %s.1\n' "$NET" >"$DIR/n$n/resolv.conf"
  cat >"$DIR/n$n/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$RUN/$NAME-n$n.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $DIR/pki/ca.crt}}
clusterDNS: ["$NET.1"]
clusterDomain: cluster.local
resolvConf: $DIR/n$n/resolv.conf
podLogsDir: $DIR/n$n/podlogs
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: 100Mi}
# Kubelet 1.34 resizes without a look at whether there is a pod's cgroup to resize (doPodResizeAction), and panics: here
# pods have none.
featureGates: {InPlacePodVerticalScaling: false}
nodeStatusUpdateFrequency: 4s
syncFrequency: 10s
fileCheckFrequency: 20s
YAML
  spawn "n$n-kubelet" nsenter --net="/run/netns/$NAME-n$n" kubelet --config "$DIR/n$n/kubelet.yaml" --kubeconfig "$KUBECONFIG_FILE" \
    --root-dir "$DIR/n$n/kubelet" --hostname-override "$(zone "$n")" --node-ip "$NET.1$n" \
    --node-labels "topology.kubernetes.io/zone=$(zone "$n"),topology.kubernetes.io/region=$NAME" --v 1
}

start_node() { # N
  start_containerd "$1"
  start_kubelet "$1"
  start_proxy "n$1-proxy" "$NAME-n$1" "$(zone "$1")"
}

node_pids() { # N : kubelet, containerd, proxy, the shims and what runs in the containers
  local label shim
  for label in kubelet containerd proxy; do alive "n$1-$label" || true; done
  for shim in $(pgrep -f "containerd-shim.*$RUN/$NAME-n$1\.sock" || true); do
    echo "$shim"
    pgrep -P "$shim" || true
  done
}

node_count() { find "$DIR" -maxdepth 1 -type d -regex '.*/n[0-9]' | wc -l; }

nodes_ready() { # NODES
  [[ $(kube get nodes --no-headers 2>/dev/null | grep -cw Ready) == "$1" ]]
}

cluster_up() { # NODES
  local n
  install_packages
  "$HERE/build-tools" kubernetes etcd coredns local-path-provisioner helm kubeconform
  mkdir -p "$DIR"/{log,pid,pki,volumes}
  base_images
  certificates
  sysctl -qw net.ipv4.ip_forward=1
  sysctl -qw fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=524288 2>/dev/null || true
  ip link add "$BRIDGE" type bridge
  ip addr add "$NET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  # The machine's own namespace under a name, for calls from the client's.
  ip netns attach "$NAME-host" $$
  start_control_plane
  for ((n = 1; n <= $1; n++)); do
    node_net "$n"
    start_node "$n"
  done
  namespace_net "$NAME-client" "${BRIDGE}c" "$NET.10"
  start_proxy client-proxy "$NAME-client" "$(zone 1)"
  start_provisioner
  wait_for 90 "a node" nodes_ready "$1"
  kube get nodes -L topology.kubernetes.io/zone
}

cluster_load() { # ARCHIVE
  local n
  for ((n = 1; n <= $(node_count); n++)); do ctr -a "$RUN/$NAME-n$n.sock" -n k8s.io images import "$1"; done
}

cluster_node() { # N ACTION
  [[ -d $DIR/n$1 ]] || die "$NAME has no node $1"
  local pids
  mapfile -t pids < <(node_pids "$1")
  case $2 in
    stop) kill -9 "${pids[@]}" 2>/dev/null || true ;;
    start) start_node "$1" ;;
    pause) kill -STOP "${pids[@]}" ;;
    resume) kill -CONT "${pids[@]}" ;;
    cut) ip link set "${BRIDGE}n$1" down ;;
    heal) ip link set "${BRIDGE}n$1" up ;;
    *) die "unknown action: $2" ;;
  esac
}

cluster_api() { # stop|start
  case $1 in
    stop) terminate apiserver ;;
    start)
      start_api
      # Elsewhere these two lose their lease without the API and start again; left alone, they would come back to it only
      # as their clients' back-off has it, up to a minute later.
      terminate scheduler controller-manager
      start_controllers
      ;;
    *) die "unknown action: $1" ;;
  esac
}

# The client's namespace has a kube-proxy that no node takes with it.
cluster_address() { echo "$NET.10"; }

# What the pods of the first send to the second's NodePorts, and what comes back. Nothing else goes that way: clients and
# kubectl are outside of the pods' networks.
links() { # PODS NET
  printf 'from %s.0.0/16 to %s.0/24\nfrom %s.0/24 to %s.0.0/16\n' "$1" "$2" "$2" "$1"
}

cluster_link() { # OTHER ACTION
  local other rule action
  other=$(cat "$STATE/$1/index" 2>/dev/null) || die "there is no cluster $1"
  case $2 in cut) action=add ;; heal) action=del ;; *) die "unknown action: $2" ;; esac
  while read -r rule; do
    # Packets are dropped without a word, also those of connections that stand. A rule that is there already, or gone already, is fine.
    # shellcheck disable=SC2086
    ip rule $action pref 7000 $rule blackhole 2>/dev/null || true
  done < <(links "$PODS" "172.29.$other"; links "10.$((100 + other))" "$NET")
}

heal_links() {
  local rule
  while read -r rule; do
    # shellcheck disable=SC2086
    ip rule del pref 7000 $rule 2>/dev/null || true
  done < <(ip rule show pref 7000 2>/dev/null | cut -d: -f2 | grep -E "(^|[^0-9.])(${NET//./\\.}|${PODS//./\\.})\." || true)
}

cluster_wipe() {
  local n count
  count=$(node_count)
  terminate provisioner coredns scheduler controller-manager apiserver etcd client-proxy
  for ((n = 1; n <= count; n++)); do terminate "n$n-kubelet" "n$n-proxy"; done
  rm -rf "$DIR/etcd"
  start_control_plane
  # A kubelet registers its node once, when it starts.
  for ((n = 1; n <= count; n++)); do
    start_kubelet "$n"
    start_proxy "n$n-proxy" "$NAME-n$n" "$(zone "$n")"
  done
  start_proxy client-proxy "$NAME-client" "$(zone 1)"
  start_provisioner
  wait_for 90 "a node" nodes_ready "$count"
}

cluster_run() { # COMMAND…
  [[ -e /run/netns/$NAME-client ]] || die "$NAME is not up"
  exec nsenter --net="/run/netns/$NAME-client" "$@"
}

# Containers whose shim was killed while it made them: their root lies in a folder of ours.
orphans() {
  local process
  for process in /proc/[0-9]*; do
    grep -qs "^[0-9]* [0-9]* [0-9:]* / / .*=$DIR/n" "$process/mountinfo" && echo "${process#/proc/}"
  done
  return 0
}

cluster_down() {
  local file namespace pids
  for file in "$DIR"/n*/containerd.toml; do
    [[ -f $file ]] || continue
    file=$(basename "$(dirname "$file")")
    mapfile -t pids < <(node_pids "${file#n}")
    ((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
  done
  for file in "$DIR"/pid/*; do [[ -f $file ]] && terminate "$(basename "$file")"; done
  sleep 0.5
  mapfile -t pids < <(orphans)
  ((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
  for namespace in $(ip netns list | awk -v name="^$NAME-(n[0-9]|client|host)$" '$1 ~ name {print $1}'); do ip netns del "$namespace"; done
  ip link del "$BRIDGE" 2>/dev/null || true
  heal_links
  awk -v a="$DIR/" -v b="$RUN/$NAME-" 'index($2, a) == 1 || index($2, b) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l
  rm -rf "$DIR" "$RUN/$NAME"-n*
  [[ $COMMAND != up ]] || claim_index
  # The pods' own network namespaces carry no cluster's name: with no cluster left, none of ours is in use.
  for _ in {1..30}; do
    pgrep -f "containerd-shim.*$RUN/$NAME-n" >/dev/null || break
    sleep 0.1
  done
  pgrep -f "containerd-shim.*$RUN/" >/dev/null || for namespace in $(ip netns list | awk '/^cni-/ {print $1}'); do
    [[ -n $(ip netns pids "$namespace" 2>/dev/null) ]] || ip netns del "$namespace" 2>/dev/null || true
  done
}
