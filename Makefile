# The targets a person needs; `make help` lists them.

TARGET ?= $(shell uname -m)-unknown-linux-musl
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# Debian releases of the test guest: sid, trixie, or both.
SUITES ?= sid

BUILT := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)
RELEASE := $(abspath $(BUILT)/release)
# Another runtime can stand in: HUSK_BIN=/usr/sbin/runc HUSK_TEST_PEER=1 make test-host
export HUSK_BIN ?= $(RELEASE)/husk
export HUSK_BUNDLE_BIN ?= $(RELEASE)/husk-bundle
export SUITES

SCRIPTS := integration-tests/scripts
NEED := $(SCRIPTS)/need
# What `husk --version` says it was built from.
export HUSK_COMMIT ?= $(shell git describe --always --dirty 2>/dev/null)
BUILD := $(CARGO) build -q --locked --release --target $(TARGET) -p husk -p husk-bundle
BUILD_TESTS := $(CARGO) build -q --locked --target $(TARGET) -p integration-tests --bin husk-tests
TESTS := $(BUILT)/debug/husk-tests

.DEFAULT_GOAL := build
.PHONY: help build run test test-host test-guest bench fmt lint install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the two static programs, in target/ARCH-unknown-linux-musl/release
	@$(NEED) cargo cc musl-gcc
	$(BUILD)

run: ## make an image, convert it, run it isolated; IMAGE=FILE takes any image archive, COMMAND="..." another command
	@$(NEED) cargo cc musl-gcc busybox-static tar gzip
	$(BUILD)
	@$(SCRIPTS)/demo $(IMAGE)

# Each part is a name and a command; one that counts tests prints a closing line,
# any other counts as one. The parts after `build!` need it.
test: ## everything: style, packages, unit tests, integration tests here and in the guest
	@$(NEED) cargo cc musl-gcc busybox-static libseccomp ps strip
	@$(CARGO) run -q --locked -p checks --bin parts -- \
		"format=$(CARGO) fmt --all --check" \
		"lint=$(CARGO) clippy -q --locked --workspace --all-targets -- -D warnings" \
		"aarch64=$(CARGO) check -q --locked --target aarch64-unknown-linux-musl -p husk -p husk-init" \
		"packages=$(CARGO) run -q --locked -p checks --bin dependencies" \
		"unit=$(CARGO) test -q --locked --no-fail-fast --workspace --exclude integration-tests && $(CARGO) test -q --locked -p integration-tests --lib" \
		"build!=$(BUILD) && $(BUILD_TESTS)" \
		"integration=$(TESTS)" \
		"guest=GUEST_OPTIONAL=1 $(SCRIPTS)/test-guest"

test-host: ## the integration tests here; FILTER="WORD..." takes some of them
	@$(NEED) cargo cc musl-gcc busybox-static ps
	$(if $(HUSK_TEST_PEER),,$(BUILD))
	$(BUILD_TESTS)
	$(TESTS) $(FILTER)

test-guest: ## the same tests and programs in the guest: pure cgroup v2, systemd, AppArmor; SUITES="sid trixie" for both releases
	@$(NEED) cargo cc musl-gcc ps strip
	$(if $(HUSK_TEST_PEER),,$(BUILD))
	$(BUILD_TESTS)
	$(SCRIPTS)/test-guest $(FILTER)

bench: ## time and size beside runc and crun
	@$(NEED) cargo cc musl-gcc busybox-static runc crun strace
	$(BUILD)
	$(CARGO) run -q --locked --release -p bench -- $(BENCH)

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## clippy with warnings denied
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

install: build ## into PREFIX (/usr/local)
	install -D -m 755 $(RELEASE)/husk $(DESTDIR)$(PREFIX)/bin/husk
	install -D -m 755 $(RELEASE)/husk-bundle $(DESTDIR)$(PREFIX)/bin/husk-bundle

clean: ## what was built; the guest's cache stays
	$(CARGO) clean
