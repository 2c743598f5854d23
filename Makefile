# A thin front for CMake: the two commands of the README, and what developers need.
#
#   make quickstart   install what is missing, build, run the word count on a local cluster
#   make test         install what is missing, build, run the tests; SAMPLES=DIR: also with the
#                     manifests of that folder, such as KubeRay's own
#   make check        the long rest: 20 kill rounds, 1M tasks, ten times the seeds, fuzzing; or some
#                     of it (CHECK="long sim fuzz")
#   make cluster-up   a real Kubernetes with two nodes on this machine, as root (NODES=N: more or fewer);
#                     cluster-status, cluster-down, cluster-test: see docs/kubernetes-here.md
#   make e2e-smoke    the whole path on that Kubernetes: image, charts, RayCluster, RayJob, scaling; as root
#   make e2e          all tests on it (E2E="charts proxy": these); SAMPLES=DIR: with KubeRay's manifests
#   make bench        Raia beside Ray (BENCH="--rounds 1" and the like: see e2e/bench/run.py)
#   make bench-operator KUBERAY=BINARY   raia-operator beside KubeRay's on a control plane with fake nodes, as
#                     root (empty: without KubeRay; BENCH="--clusters 100" and the like: see e2e/kube/bench/run.py)
#   make bundle       what runs in pods, in any image: build/bundle/opt/raia (docs/design/pod.md)
#   make image        the image of Raia on the nodes of make cluster-up
#   make install      honours PREFIX and DESTDIR

PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
CMAKE  := cmake -G Ninja

.PHONY: cluster-up cluster-down cluster-status cluster-test
.PHONY: e2e-smoke e2e bench-operator
.PHONY: all build bundle image deps quickstart test check bench lint install clean

all: build

deps:
	@e2e/install-deps.sh

build: deps
	@test -f build/build.ninja || $(CMAKE) -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >build.log 2>&1 || { cat build.log; exit 1; }
	@rm -f build.log
	@[ -z "$(SAMPLES)" ] || cmake -S . -B build -DSAMPLES="$(abspath $(SAMPLES))" >/dev/null
	@ninja -C build -j $(JOBS)

quickstart: build
	@e2e/quickstart.sh

bench: build
	@e2e/bench/run.py $(BENCH)

lint: deps
	@e2e/lint.sh

test: build lint
	@e2e/run-tests.sh

check: build
	@e2e/run-check.sh $(CHECK)

cluster-up cluster-down cluster-status:
	@NODES=$(or $(NODES),2) e2e/cluster/$(@:cluster-%=%)

cluster-test:
	@e2e/cluster/test.sh

e2e-smoke: build
	@e2e/kube/smoke.sh

e2e: build
	@SAMPLES="$(if $(SAMPLES),$(abspath $(SAMPLES)))" e2e/kube/run $(E2E)

bench-operator: build
	@e2e/kube/bench/run.py --write $(if $(KUBERAY),--kuberay $(KUBERAY)) $(if $(KUBERAY_CRDS),--kuberay-crds $(KUBERAY_CRDS)) $(BENCH)

bundle: build
	@e2e/bundle.sh build

image: build
	@e2e/kube/image.sh $(RAIA_IMAGE)

install: build
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

clean:
	rm -rf build build-asan build-tsan build-fuzz
