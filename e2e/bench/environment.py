"""The environment of `make bench`: Ray from its wheels in a virtual environment of its own, its C++
program built against the headers of the wheel, and what the machine is."""

import os
import platform
import subprocess
import sys

RAY_VERSION = "2.60.0"
PACKAGES = [f"ray[default]=={RAY_VERSION}", f"ray-cpp=={RAY_VERSION}", "numpy"]


class Environment:
    def __init__(self, folder):
        self.folder = folder
        self.python = os.path.join(folder, "bin", "python")
        self.cpp = os.path.join(folder, "ray_cpp")
        self.cpp_library = os.path.join(folder, "libray_cpp.so")

    def variables(self, temporary):
        """What Ray's processes find: no reports, no tokens, no other Ray, a temporary folder of this run."""
        e = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        e["PATH"] = os.path.join(self.folder, "bin") + ":" + e["PATH"]
        e.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_TMPDIR=temporary,
                 RAY_DEDUP_LOGS="0", PYTHONWARNINGS="ignore", OMP_NUM_THREADS="64")
        return e

    def install(self, source):
        """Installs and builds what is missing."""
        stamp = os.path.join(self.folder, "packages")
        want = "\n".join(PACKAGES)
        if not os.path.exists(stamp) or open(stamp).read() != want:
            print(f"installing Ray {RAY_VERSION} in {self.folder}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
            subprocess.run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
            with open(stamp, "w") as f:
                f.write(want)
        newest = max(os.path.getmtime(source), os.path.getmtime(stamp))
        if all(os.path.exists(p) and os.path.getmtime(p) >= newest for p in (self.cpp, self.cpp_library)):
            return
        where = subprocess.run([self.python, "-c", "import ray, os; print(os.path.dirname(ray.__file__))"],
                               check=True, capture_output=True, text=True).stdout.strip()
        flags = ["-O2", "-std=c++17", "-D_GLIBCXX_USE_CXX11_ABI=0", "-rdynamic", f"-I{where}/cpp/include",
                 f"-L{where}/cpp/lib", f"-Wl,-rpath,{where}/cpp/lib"]
        libraries = ["-lray_api", "-ldl", "-lpthread"]
        subprocess.run(["g++", *flags, source, "-o", self.cpp, *libraries], check=True)
        subprocess.run(["g++", *flags, "-shared", "-fPIC", source, "-o", self.cpp_library, *libraries], check=True)


def machine():
    """What the figures were taken on."""
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as f:
        gib = int(f.readline().split()[1]) / 1048576
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(gib),
            "kernel": platform.release(), "system": system(), "python": platform.python_version()}


def system():
    try:
        with open("/etc/os-release") as f:
            for line in f:
                if line.startswith("PRETTY_NAME="):
                    return line.split("=", 1)[1].strip().strip('"')
    except OSError:
        pass
    return platform.system()
