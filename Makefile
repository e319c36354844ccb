# The two commands of the README are `make demo` and `make test`. `make help` lists the others.

CARGO ?= cargo
CC ?= cc
CARGO_TARGET_DIR ?= target
CFLAGS ?= -O2 -g

EXAMPLES := complete stream chat poll epoll notify pull thread tools vision json reasoning logprobs choices \
  metadata caching errors rate_limits cost parameters
CPP_EXAMPLES := complete stream chat tools json poll coroutine
PREFIX ?= /usr/local
C_STRICT := -std=c99 -D_POSIX_C_SOURCE=200809L -pedantic -Wall -Wextra -Werror

.DEFAULT_GOAL := lib
.PHONY: soak testing fuzz desktop desktop-demo sdl-demo godot godot-demo static install uninstall dist deb cpp-examples notice lib examples sdl demo test bench header clean distclean help

lib: ## build the library: build/lib/libhelio.so (the default)
	@# Alone: with the Rust library beside it, cargo cannot optimise across crates, which costs 300 KB.
	$(CARGO) rustc --release --lib --crate-type cdylib
	@mkdir -p build/lib
	@install -m 755 $(CARGO_TARGET_DIR)/release/libhelio.so build/lib/libhelio.so.1
	@ln -sf libhelio.so.1 build/lib/libhelio.so

static: ## build the static library: build/lib/libhelio.a
	$(CARGO) rustc --release --lib --crate-type staticlib
	@mkdir -p build/lib
	@scripts/static_lib.sh $(CARGO_TARGET_DIR)/release/libhelio.a build/lib/libhelio.a

install: lib static ## install under PREFIX (/usr/local); DESTDIR, LIBDIR and INCLUDEDIR count, too
	@PREFIX='$(PREFIX)' scripts/install.sh install

uninstall: ## remove what was installed under PREFIX
	@PREFIX='$(PREFIX)' scripts/install.sh uninstall

dist: lib static ## a tarball that can be unpacked anywhere: build/helio-VERSION-SYSTEM.tar.gz
	@scripts/dist.sh

deb: lib static ## Debian packages for this machine: build/libhelio1_….deb, build/libhelio-dev_….deb
	@scripts/deb.sh

notice: ## write NOTICE.md and sbom.cdx.json anew: what is inside, and its licences
	scripts/notice.py
	scripts/sbom.py

examples: $(EXAMPLES:%=build/bin/%) ## build the C examples into build/bin

build/bin/%: examples/c/%.c examples/c/common.h examples/c/feature.h include/helio.h | lib
	@mkdir -p build/bin
	$(CC) $(C_STRICT) $(CFLAGS) -Iinclude $< -o $@ -Lbuild/lib -lhelio -Wl,-rpath,'$$ORIGIN/../lib' -pthread -lm

cpp-examples: $(CPP_EXAMPLES:%=build/bin/cpp/%) ## build the C++ examples into build/bin/cpp

build/bin/cpp/%: examples/cpp/%.cpp examples/cpp/common.hpp include/helio.hpp include/helio.h | lib
	@mkdir -p build/bin/cpp
	$(CXX) -std=c++20 -pedantic -Wall -Wextra -Werror $(CFLAGS) -Iinclude $< -o $@ -Lbuild/lib -lhelio \
	  -Wl,-rpath,'$$ORIGIN/../../lib' -pthread

sdl: build/bin/scene ## build the game scene of examples/sdl, which needs SDL2: build/bin/scene

build/bin/scene: $(wildcard examples/sdl/*.[ch]) examples/c/common.h include/helio.h | lib
	@command -v sdl2-config >/dev/null || { \
	  echo "SDL2 is not installed. On Debian and Ubuntu: sudo apt-get install libsdl2-dev" >&2; exit 1; }
	@mkdir -p build/bin
	$(CC) $(C_STRICT) $(CFLAGS) -Iinclude $$(sdl2-config --cflags) $(filter %.c,$^) -o $@ \
	  -Lbuild/lib -lhelio -Wl,-rpath,'$$ORIGIN/../lib' $$(sdl2-config --libs) -lm

desktop: build/bin/desktop ## build the chat window of examples/desktop, which needs GTK 4: build/bin/desktop

build/bin/desktop: $(wildcard examples/desktop/*.[ch]) include/helio.h | lib
	@pkg-config --exists gtk4 || { \
	  echo "GTK 4 is not installed. On Debian and Ubuntu: sudo apt-get install libgtk-4-dev" >&2; exit 1; }
	@mkdir -p build/bin
	$(CC) -std=gnu11 -Wall -Wextra -Werror -Wno-deprecated-declarations $(CFLAGS) -Iinclude $$(pkg-config --cflags gtk4) \
	  $(filter %.c,$^) -o $@ -Lbuild/lib -lhelio -Wl,-rpath,'$$ORIGIN/../lib' $$(pkg-config --libs gtk4)

desktop-demo: desktop ## the same with a small local model
	@scripts/real_model.py run -- build/bin/desktop

sdl-demo: sdl ## the game scene with a small local model
	@scripts/real_model.py run -- build/bin/scene

godot: lib ## build the node for Godot 3 and the project of examples/godot: build/godot/project
	@scripts/godot.sh

godot-demo: godot ## the same, run without a display with a small local model
	@scripts/real_model.py run -- godot3-server --path build/godot/project

demo: lib examples ## stream an answer: from the gateway with HELICONE_API_KEY, else from a small local model
	@scripts/demo.sh build/bin/stream

test: lib examples ## run every test; installs what is missing, or says which command does
	@scripts/test.sh

bench: lib ## measure against libcurl, async-openai and others, and write docs/performance.md anew (half an hour)
	@benches/run.py

soak: lib ## an hour of mixed load with faults: nothing is lost, nothing grows
	@scripts/soak.py

testing: lib examples ## every test, sanitizer and fuzz target, an hour of soak beside them, and docs/testing.md anew (an hour and a half)
	@scripts/testing.py all

fuzz: ## the fuzz targets, ten minutes each
	@fuzz/run.sh --seconds 600

header: ## write include/helio.h anew from the sources
	HELIO_BLESS=1 $(CARGO) test --test header

clean: ## remove what was built; the local model stays
	$(CARGO) clean
	rm -rf build/lib build/bin build/tests-c

distclean: clean ## remove the local model, too
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile
