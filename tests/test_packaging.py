"""What is built and installed: wheel, source archive, optional extensions, and what an import
costs.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tinygrad_mmb.backend import extension
from tinygrad_mmb.backend.driver import driver
from tinygrad_mmb.kernels.launch import compile, nvrtc

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "Müllers Übungen"  # a blank and umlauts: such folders are common
BASE = ("numpy", "safetensors", "click")
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"
CACHES = (".git", ".venv*", "build", "dist", "runs", "__pycache__", ".hypothesis", "node_modules")
NOT_SOURCE = shutil.ignore_patterns(
    *CACHES, ".*_cache", "*.egg-info", "*.so", "*.pyd", "*.not_built.txt"
)


HAS_CXX = sys.platform == "linux" and shutil.which("g++") is not None


def call(*command, **options):
    """A process that must succeed; its output."""
    answer = subprocess.run(
        [str(c) for c in command],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=900,  # three extensions on a busy machine take minutes
        check=False,
        **options,
    )
    assert answer.returncode == 0, f"{command}\n{answer.stdout}\n{answer.stderr}"
    return answer.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the sources, so that building leaves no trace in the real one."""
    copy = tmp_path_factory.mktemp("checkout") / FOLDER
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
    ]
    call(
        sys.executable, *command, target, ".", cwd=checkout, env=os.environ | {"MMB_BUILD": "none"}
    )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh_python(wheel, tmp_path_factory):
    """A new environment with the wheel and its three dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("environment") / FOLDER
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / PYTHON
    command = ["-m", "pip", "--quiet", "--python"]
    install = ["install", "--no-deps", "--no-index"]
    call(sys.executable, *command, python, *install, wheel)
    site = Path(
        call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    for name in BASE:  # copied from here, as a test must not need the network
        for file in metadata.files(name):
            if ".." not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), target)
    return python


def clean_environment():
    """The variables of this process without those that change where Python looks."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


def test_the_wheel_holds_package_data_and_licence_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "tinygrad_mmb/py.typed" in names
    assert "tinygrad_mmb/data/files/digits.npz" in names
    assert "tinygrad_mmb/data/files/digits.txt" in names  # the attribution that CC BY 4.0 asks for
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert {n.split("/")[0].split("-")[0] for n in names} == {"tinygrad_mmb"}
    assert not [n for n in names if "__pycache__" in n or n.startswith("tests")]


def test_the_wheel_carries_sources_examples_and_benchmarks_as_data(wheel, checkout):
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("examples", "benchmarks", "csrc"):
        for source in (checkout / folder).rglob("*.*"):
            if "results" not in source.parts:
                assert f"tinygrad_mmb/share/{source.relative_to(checkout).as_posix()}" in names
    assert "tinygrad_mmb/share/csrc/cuda/kernels/softmax.cu" in names
    assert "tinygrad_mmb/share/conformance.json" in names


SOFTMAX = """
import numpy as np
import tinygrad_mmb as tm
x = np.linspace(-2, 3, 12).reshape(3, 4)
with tm.use_kernels("emulator", strict=True):
    y = tm.softmax(tm.tensor(x, dtype=tm.float64), -1).numpy()
expected = np.exp(x) / np.exp(x).sum(1, keepdims=True)
np.testing.assert_allclose(y, expected, rtol=1e-12)
"""


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CXX, reason="no C++ compiler here, or no Linux")
def test_the_installed_emulator_compiles_the_carried_sources(fresh_python, tmp_path):
    empty = tmp_path / FOLDER
    empty.mkdir()
    variables = clean_environment() | {"MMB_CACHE": str(tmp_path / "kept")}
    call(fresh_python, "-c", SOFTMAX, cwd=empty, env=variables)
    assert [p for p in (tmp_path / "kept").iterdir() if p.name.startswith("softmax-fast")]
    assert list(empty.iterdir()) == []


def test_the_source_archive_holds_everything(checkout, tmp_path):
    command = ["-m", "build", "--sdist", "--no-isolation", "--outdir"]
    call(sys.executable, *command, tmp_path, ".", cwd=checkout)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {n.split("/", 1)[1] for n in tar.getnames() if "/" in n}
    single = {
        "Makefile",
        "LICENSE",
        "CITATION.cff",
        "README.md",
        ".ci/run",
        "setup.py",
        "pyproject.toml",
    }
    assert single <= names
    for folder in ("tinygrad_mmb", "tests", "tools", "csrc", "examples", "benchmarks"):
        for path in (checkout / folder).rglob("*"):
            if path.is_file():
                assert path.relative_to(checkout).as_posix() in names


def test_the_installed_wheel_trains_in_an_empty_folder(fresh_python, tmp_path):
    empty = tmp_path / FOLDER
    empty.mkdir()
    command = ["-m", "tinygrad_mmb", "train", "digits", "--epochs", "3", "--seed", "1"]
    answer = call(fresh_python, *command, cwd=empty, env=clean_environment())
    run = empty / "runs" / "digits-mlp-001"
    assert (
        "pip install 'tinygrad-mmb[train]'" in answer
    )  # matplotlib is not there, and that is said
    assert "test accuracy 0.9" in answer
    assert "loss: o training, x validation" in answer  # the curves, as text
    files = {"config.json", "manifest.json", "metrics.csv", "model.safetensors", "results.json"}
    assert {p.name for p in run.iterdir()} == files | {"checkpoints"}
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["seed"] == 1
    assert manifest["commit"] is None  # an installed package is no checkout
    assert set(manifest["versions"]) == {"tinygrad_mmb", "python", "numpy", "safetensors"}
    evaluated = call(fresh_python, "-m", "tinygrad_mmb", "evaluate", run, env=clean_environment())
    assert evaluated.splitlines()[-1].split(",")[0] in answer


def test_the_installed_command_is_there(fresh_python):
    mmb = fresh_python.with_name("mmb.exe" if os.name == "nt" else "mmb")
    answer = call(mmb, "doctor", env=clean_environment())
    assert "BLAS" in answer
    assert "matplotlib  not installed; pictures: pip install 'tinygrad-mmb[train]'" in answer


def test_without_click_the_command_says_how_to_install_it():
    poison = "import sys; sys.modules['click'] = None"
    code = f"{poison}; from tinygrad_mmb.cli import main; main(['doctor'])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "the command line needs click: pip install click\n"


def loaded_by(statement):
    """Packages that a fresh Python holds after `statement`, beside its own and those of NumPy."""
    base = "import sys, numpy, numpy.random, safetensors.numpy; before = set(sys.modules)"
    code = f"{base}; {statement}; print(*(set(sys.modules) - before))"
    names = call(sys.executable, "-c", code).split()
    return {n.split(".")[0] for n in names} - set(sys.stdlib_module_names)


def test_the_package_imports_numpy_and_safetensors_only():
    assert loaded_by("import tinygrad_mmb") <= {"tinygrad_mmb", "numpy", "safetensors"}


def test_the_training_package_needs_neither_rich_nor_matplotlib_nor_click():
    statement = "import tinygrad_mmb.training, tinygrad_mmb.training.experiment, tinygrad_mmb.data"
    assert loaded_by(statement) <= {"tinygrad_mmb", "numpy", "safetensors"}


SOURCE = """
#include <pybind11/pybind11.h>
PYBIND11_MODULE(_tiny, m) { m.def("answer", [] { return 42; }); }
"""


@pytest.fixture
def tiny_project(tmp_path):
    """A project with this setup.py and one small extension."""
    project = tmp_path / FOLDER
    (project / "csrc" / "tiny").mkdir(parents=True)
    (project / "csrc" / "notes").mkdir()
    (project / "csrc" / "notes" / "no_source.txt").write_text("", encoding="utf-8")
    (project / "csrc" / "tiny" / "tiny.cpp").write_text(SOURCE, encoding="utf-8")
    (project / "tinygrad_mmb").mkdir()
    (project / "tinygrad_mmb" / "__init__.py").write_text("", encoding="utf-8")
    copy_build_files(project)
    return project


def copy_build_files(project):
    (project / "tools").mkdir()
    for name in ("setup.py", "tools/compile_objects.py"):
        shutil.copy(ROOT / name, project / name)


def build_tiny(project, **variables):
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=project,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
        check=False,
    )


def has_compiler():
    return any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl"))


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler here")
def test_a_folder_of_cpp_sources_becomes_an_extension(tiny_project):
    assert build_tiny(tiny_project, MMB_BUILD="tiny").returncode == 0
    code = "import tinygrad_mmb._tiny as t; print(t.answer())"
    assert call(sys.executable, "-c", code, cwd=tiny_project).strip() == "42"


def test_without_a_compiler_the_build_succeeds_without_the_extension(tiny_project):
    answer = build_tiny(tiny_project, CC="no-such-compiler", CXX="no-such-compiler")
    assert answer.returncode == 0, answer.stderr
    (reason,) = (tiny_project / "tinygrad_mmb").glob("_tiny*")  # and no library
    assert reason.name == "_tiny.not_built.txt"
    assert "no-such-compiler" in reason.read_text(encoding="utf-8")


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler here")
def test_the_reason_goes_when_the_build_succeeds(tiny_project):
    build_tiny(tiny_project, CC="no-such-compiler", CXX="no-such-compiler")
    assert build_tiny(tiny_project).returncode == 0
    (built,) = (tiny_project / "tinygrad_mmb").glob("_tiny*")
    assert built.suffix in (".so", ".pyd")


def test_an_extension_that_was_asked_for_must_be_built(tiny_project):
    answer = build_tiny(
        tiny_project, CC="no-such-compiler", CXX="no-such-compiler", MMB_BUILD="tiny"
    )
    assert answer.returncode != 0
    assert "MMB_BUILD asks for tinygrad_mmb._tiny, but it could not be built" in answer.stderr


@pytest.mark.parametrize("name", ["absent", "notes"])
def test_an_extension_without_sources_cannot_be_asked_for(tiny_project, name):
    answer = build_tiny(tiny_project, MMB_BUILD=f"tiny,{name}")
    assert answer.returncode != 0
    assert f"MMB_BUILD names {name}, but csrc has no folder" in answer.stderr
    assert "There are: tiny" in answer.stderr


def test_none_builds_none(tiny_project):
    assert build_tiny(tiny_project, MMB_BUILD="none").returncode == 0
    assert not list((tiny_project / "tinygrad_mmb").glob("_tiny*"))


NVCC = """#!{python}
import os, pathlib, subprocess, sys
arguments = sys.argv[1:]
with open({log!r}, "a", encoding="utf-8") as log:
    print(*arguments, file=log)
if "--list-gpu-arch" in arguments:
    print({known!r})
elif "--dryrun" in arguments:
    print("#$ TOP=" + {top!r}, file=sys.stderr)
elif {broken}:
    sys.exit("nvcc fatal: unsupported GNU version")
else:
    out = arguments[arguments.index("-o") + 1]
    sys.exit(subprocess.run(["c++", "-x", "c++", "-c", os.devnull, "-o", out]).returncode)
"""


@pytest.fixture
def cuda_project(tmp_path):
    """A project with this setup.py, two files of kernels, and an nvcc that writes down what it is
    asked for; what it makes is empty.
    """
    project = tmp_path / FOLDER
    kernels = project / "csrc" / "cuda" / "kernels" / "ladder"
    kernels.mkdir(parents=True)
    for file in (kernels / "01_naive.cu", kernels.parent / "copy.cu"):
        file.write_text("// nothing\n", encoding="utf-8")
    bindings = project / "csrc" / "cuda" / "bindings.cpp"
    bindings.write_text("int nobody_imports_it;\n", encoding="utf-8")
    backend = project / "tinygrad_mmb" / "backend"
    backend.mkdir(parents=True)
    (project / "tinygrad_mmb" / "__init__.py").write_text("", encoding="utf-8")
    for name in ("extension.py", "driver.py"):
        shutil.copy(ROOT / "tinygrad_mmb" / "backend" / name, backend)
    copy_build_files(project)
    library = tmp_path / "toolkit" / "lib64" / "libcudart_static.a"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"!<arch>\n")  # an archive with nothing in it
    return project


def build_cuda(project, known="compute_75 compute_80 compute_90", broken=False, **variables):
    """The process, and what nvcc was called with to compile."""
    nvcc, log = project.parent / "nvcc", project.parent / "calls.txt"
    top = str(project.parent / "toolkit")
    log.write_text("", encoding="utf-8")
    script = NVCC.format(
        python=sys.executable, log=str(log), known=known.replace(" ", "\n"), top=top, broken=broken
    )
    nvcc.write_text(script, encoding="utf-8")
    nvcc.chmod(0o755)
    nothing = {"MMB_CUDA_ARCHS": "", "MMB_BUILD": "", "CUDA_VISIBLE_DEVICES": ""}
    answer = build_tiny(project, **nothing | {"NVCC": str(nvcc)} | variables)
    calls = log.read_text(encoding="utf-8").splitlines()
    return answer, [line for line in calls if " -c " in line and "--dryrun" not in line]


def not_built(project):
    return (project / "tinygrad_mmb" / "_cuda.not_built.txt").read_text(encoding="utf-8")


needs_cxx = pytest.mark.skipif(not HAS_CXX, reason="no g++ here, or no Linux")
no_gpu = pytest.mark.skipif(
    bool(driver() and driver().gpus), reason="with a GPU here, it is compiled for that one"
)


@needs_cxx
@no_gpu
def test_where_there_is_nvcc_cuda_is_built_without_a_gpu_and_without_asking(cuda_project):
    answer, calls = build_cuda(cuda_project)
    assert answer.returncode == 0, answer.stderr
    assert list((cuda_project / "tinygrad_mmb").glob("_cuda*.so"))
    assert len(calls) == 2  # one for each file, all architectures at once
    for call_ in calls:
        codes = [word for word in call_.split() if word.startswith("arch=")]
        assert codes == [
            "arch=compute_75,code=sm_75",
            "arch=compute_80,code=sm_80",
            "arch=compute_90a,code=sm_90a",
            "arch=compute_80,code=compute_80",  # PTX, for GPUs that are newer
        ]
    told = " ".join(answer.stderr.split())
    assert "nvcc compiles 2 files for sm_75, sm_80, sm_90a: about 1 min" in told
    assert "MMB_CUDA_ARCHS=none leaves _cuda out" in told


@needs_cxx
def test_architectures_that_are_named_are_compiled_and_no_others(cuda_project):
    _, calls = build_cuda(cuda_project, MMB_CUDA_ARCHS="86")
    assert all("arch=compute_86,code=sm_86" in line and "_75" not in line for line in calls)
    assert len(calls) == 2


@needs_cxx
@no_gpu
def test_an_architecture_that_this_nvcc_does_not_know_is_left_out(cuda_project):
    _, calls = build_cuda(cuda_project, known="compute_80 compute_90")
    assert len(calls) == 2
    assert not [line for line in calls if "_75" in line]
    answer, calls = build_cuda(cuda_project, known="compute_50")
    assert (answer.returncode, calls) == (0, [])
    assert not_built(cuda_project).endswith("compiles for none of 75, 80, 90a\n")


@pytest.mark.parametrize("switch", [{"MMB_CUDA_ARCHS": "none"}, {"NVCC": "no-such-nvcc"}])
def test_cuda_can_be_left_out_alone_and_its_absence_has_a_reason(cuda_project, switch):
    answer, calls = build_cuda(cuda_project, **switch)
    assert (answer.returncode, calls) == (0, [])
    reason = not_built(cuda_project)
    assert reason.startswith(("MMB_CUDA_ARCHS=none, so", "there is no nvcc: $NVCC, PATH"))


@needs_cxx
def test_an_nvcc_that_fails_does_not_fail_the_installation_unless_cuda_was_asked_for(cuda_project):
    answer, _ = build_cuda(cuda_project, broken=True)
    assert answer.returncode == 0, answer.stderr
    assert not_built(cuda_project).startswith(("copy.cu does not compile", "ladder_01_naive.cu"))
    assert "unsupported GNU version" in answer.stderr
    answer, _ = build_cuda(cuda_project, broken=True, MMB_BUILD="cuda")
    assert answer.returncode != 0
    assert "MMB_BUILD asks for tinygrad_mmb._cuda, but it could not be built" in answer.stderr


@pytest.fixture(scope="module")
def small_checkout(checkout, tmp_path_factory):
    """The sources with a few files of kernels: what is built is the truth, but sooner."""
    copy = tmp_path_factory.mktemp("small") / FOLDER
    shutil.copytree(checkout, copy)
    kernels = copy / "csrc" / "cuda" / "kernels"
    for path in kernels.rglob("*.cu"):
        if path.name not in ("softmax.cu", "sgd.cu"):
            path.unlink()
    for path in (copy / "csrc" / "cpu" / "kernels").glob("*.cpp"):
        if path.name not in ("adam.cpp", "activation.cpp"):  # the latter's are taken at import
            path.unlink()
    return copy


def unpacked_wheel(checkout, folder, without=(), **variables):
    """A wheel built without some programs on PATH, unpacked; and what is said while building."""
    hidden = folder / "path"
    hidden.mkdir()
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(directory).glob("*") if Path(directory).is_dir() else ():
            if not any(name in program.name for name in without):
                (hidden / program.name).unlink(missing_ok=True)
                (hidden / program.name).symlink_to(program)
    nowhere = {"NVCC": "no-such-nvcc"} if "nvcc" in without else {}
    environment = os.environ | {"PATH": str(hidden), "MMB_CUDA_ARCHS": "75"} | nowhere | variables
    command = ["-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "."]
    call(sys.executable, *command, "--wheel-dir", folder, cwd=checkout, env=environment)
    (built,) = folder.glob("*.whl")
    site = folder / "site"
    zipfile.ZipFile(built).extractall(site)
    return site, environment | {"PYTHONPATH": str(site), "MMB_CACHE": str(folder / "kept")}


def libraries(site):
    return sorted(p.name.split(".")[0] for p in (site / "tinygrad_mmb").glob("_*.so"))


def states(site, environment):
    code = "import json, tinygrad_mmb as tm; print(json.dumps(tm.show_config('dicts')))"
    told = json.loads(call(sys.executable, "-c", code, cwd=site, env=environment))
    assert told["folder"] == str(site / "tinygrad_mmb")
    return told["extensions"]


# the table of parameters, addresses among them, goes to the kernel as an object by value
SGD = """
import numpy as np
import tinygrad_mmb as tm
p = tm.nn.Parameter(tm.tensor([1.0, 2.0, 3.0]))
p.grad = tm.tensor([1.0, 0.0, -2.0])
with tm.use_kernels("emulator", strict=True):
    tm.optim.SGD([p], lr=0.5).step()
assert p.tolist() == [0.5, 2.0, 4.0]
"""

ARGUMENTS = """
import numpy as np
from tinygrad_mmb import _emulator
name = "softmax_rows_short_f32"
kinds = _emulator.kernels()[name]
assert kinds[:3] == ["p", "P", "i4"]
x = np.array([[1.0, 2.0, 3.0]], "float32")
y = np.zeros_like(x)
good = [y.ctypes.data, x.ctypes.data, 1, 3, 32, 0][:len(kinds)]

def launch(i, value, name=name):
    values = good[:i] + [value] + good[i + 1:]
    _emulator.launch(name, (1,), (32,), 0, 0, tuple(values))

for value in (1, np.int32(1), np.uint32(1)):
    y[:] = 0
    launch(2, value)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(), rtol=1e-6)
for i, value, words in [
    (0, x, "a pointer: an address as an int, or None"),
    (0, 1.0, "a pointer"),
    (1, 2**64, "does not fit"),
    (1, -1, "does not fit"),
    (2, 1.0, "a signed integer of 4 bytes"),
    (2, np.int64(1), "a signed integer of 4 bytes"),
    (2, np.float32(1), "a signed integer of 4 bytes"),
    (2, 2**31, "into which it does not fit"),
    (2, np.uint32(2**31), "into which it does not fit"),
    (2, "1", "a signed integer"),
    (2, b"1234", "a signed integer"),
    (2, True, "a signed integer"),
    (2, None, "a signed integer"),
]:
    try:
        launch(i, value)
    except TypeError as error:
        assert str(error).startswith(f"kernel {name}: argument {i} is {value!r} ("), error
        assert words in str(error), error
    else:
        raise AssertionError((i, value))
for arguments, words in [
    ((name, (1,), (32,), 0, 0, tuple(good[:-1])), f"takes {len(good)} arguments, but got"),
    ((name, (), (32,), 0, 0, tuple(good)), "grid has 0 numbers"),
    ((name, (1,), (1, 1, 1, 1), 0, 0, tuple(good)), "block has 4 numbers"),
]:
    try:
        _emulator.launch(*arguments)
    except TypeError as error:
        assert words in str(error), error
    else:
        raise AssertionError(arguments)
try:
    launch(0, 1, "nothing")
except KeyError as error:
    assert "no kernel is listed under the name nothing" in str(error)
table = _emulator.kernels()
by_value = next(k for k, kinds in table.items() if kinds[0].startswith("o"))
size = int(table[by_value][0][1:])
rest = (0,) * (len(table[by_value]) - 1)
try:
    _emulator.launch(by_value, (1,), (32,), 0, 0, (bytes(size - 1), *rest))
except TypeError as error:
    assert f"an object by value: bytes, {size} of them" in str(error), error
else:
    raise AssertionError(by_value)
"""

LAUNCH = """
from tinygrad_mmb import _cuda
assert _cuda.architectures() == ["75"]
assert "softmax_rows_short_f32" in _cuda.kernels()
if not _cuda.device_count():
    try:
        _cuda.launch("softmax_rows_short_f32", (1,), (32,), 0, 0, (0, 0, 1, 1, 32, 0))
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CXX or extension.nvcc() is None, reason="no g++ or no nvcc here")
def test_with_nvcc_and_compiler_the_wheel_holds_both_and_a_launch_says_what_is_missing(
    small_checkout, tmp_path
):
    site, environment = unpacked_wheel(small_checkout, tmp_path, MMB_BUILD="cpu,emulator")
    assert {"_cpu", "_cuda", "_emulator"} <= set(libraries(site))  # _cuda though nobody named it
    found = states(site, environment)
    assert (found["cuda"], found["emulator"]) == ("active", "active")
    for code in (SOFTMAX, SGD, ARGUMENTS):
        call(sys.executable, "-c", code, cwd=site, env=environment)
    assert not (tmp_path / "kept").exists()  # nothing had to be compiled
    said = call(sys.executable, "-c", LAUNCH, cwd=site, env=environment)
    assert said == "" or said.startswith(
        "kernel softmax_rows_short_f32: there is no NVIDIA GPU here, or its driver is missing"
    )


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CXX, reason="no g++ here")
def test_with_a_compiler_only_the_wheel_holds_the_emulator(small_checkout, tmp_path):
    site, environment = unpacked_wheel(
        small_checkout, tmp_path, without=("nvcc",), MMB_BUILD="cpu,emulator"
    )
    assert {"_cpu", "_emulator"} <= set(libraries(site))
    assert "_cuda" not in libraries(site)
    found = states(site, environment)
    assert (found["cpu"], found["emulator"]) == ("active", "active")
    assert found["cuda"].startswith("not built: there is no nvcc")
    call(sys.executable, "-c", SOFTMAX, cwd=site, env=environment)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="hides programs by symbolic links")
def test_with_neither_the_wheel_is_plain_and_says_what_it_lacks(small_checkout, tmp_path):
    compilers = ("nvcc", "g++", "gcc", "c++", "cpp", "clang", "cc")
    site, environment = unpacked_wheel(small_checkout, tmp_path, without=compilers)
    assert libraries(site) == []
    found = states(site, environment)
    assert found["cuda"].startswith("not built: there is no nvcc")
    assert "when they first run" in found["emulator"]
    answer = subprocess.run(
        [sys.executable, "-c", SOFTMAX], cwd=site, env=environment, capture_output=True, text=True
    )
    assert "with a C++17 compiler, and there is none here" in answer.stderr
    plain = SOFTMAX.replace("emulator", "reference").replace(", strict=True", "")
    call(sys.executable, "-c", plain, cwd=site, env=environment)


@pytest.mark.skipif(extension.nvcc() is None, reason="no nvcc here")
def test_the_toolkit_is_found_behind_a_script_that_starts_nvcc(tmp_path):
    script = tmp_path / "nvcc"
    script.write_text(f'#!/bin/sh\nexec {extension.nvcc()} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    code = "import setuptools; setuptools.setup = lambda **options: None; import setup; "
    code += f"print(setup.toolkit({str(script)!r}) / 'include' / 'cuda.h')"
    assert Path(call(sys.executable, "-c", code, cwd=ROOT).strip()).is_file()


def test_the_emulator_is_built_with_the_flags_of_its_mode_fast():
    code = "import setuptools; setuptools.setup = lambda **options: None; import setup; "
    code += "print(*setup.EMULATOR_FLAGS)"
    assert set(call(sys.executable, "-c", code, cwd=ROOT).split()) <= set(compile.MODES["fast"])


def test_no_two_files_list_a_kernel_under_one_name():
    kernels = ROOT / "csrc" / "cuda" / "kernels"
    listed = [
        name
        for path in kernels.rglob("*.cu")
        for name in nvrtc.expressions(path.read_text(encoding="utf-8"))
    ]
    assert len(listed) > 100
    assert sorted(listed) == sorted(set(listed))  # the extensions find a kernel by its name alone
