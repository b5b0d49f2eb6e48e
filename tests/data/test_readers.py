"""Digits, MNIST, CSV files and toy sets."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_mmb
from tinygrad_mmb.data import MNIST, CSVTable, Digits, read_idx, toy, write_idx


def generator(seed=0):
    return tinygrad_mmb.Generator().manual_seed(seed)


def test_the_digits_are_all_there():
    digits = Digits()
    x, t = digits.tensors
    assert (x.shape, str(x.dtype)) == ((1797, 1, 8, 8), "float32")
    assert (t.shape, str(t.dtype)) == ((1797,), "int64")
    assert np.bincount(t.numpy()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (x.numpy().min(), x.numpy().max()) == (0.0, 1.0)
    assert digits.images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]  # the file's first line
    assert t[:10].tolist() == list(range(10))


def test_the_digits_come_with_their_attribution():
    text = Path(tinygrad_mmb.__file__).parent / "data" / "files" / "digits.txt"
    words = text.read_text(encoding="utf-8")
    for part in ("Alpaydin", "Kaynak", "UCI Machine Learning Repository", "1998",
                 "10.24432/C50P49", "CC BY 4.0"):  # fmt: skip
        assert part in words


@pytest.mark.parametrize("stratify", [False, True])
def test_the_digits_split_60_20_20_the_same_every_time(stratify):
    parts = Digits().split(seed=3, stratify=stratify)
    assert [len(part) for part in parts] == [1079, 359, 359]
    assert len({i for part in parts for i in part.indices}) == 1797
    again = Digits().split(seed=3, stratify=stratify)
    assert [part.indices for part in parts] == [part.indices for part in again]
    assert Digits().split(seed=4, stratify=stratify)[0].indices != parts[0].indices


def test_stratified_parts_hold_every_digit_alike():
    digits = Digits()
    labels = digits.tensors[1].numpy()
    for part, share in zip(digits.split(stratify=True), (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(labels[part.indices])
        assert np.abs(counts - share * np.bincount(labels)).max() <= 1.5


@settings(deadline=None)
@given(
    st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
    ),
    st.booleans(),
)
def test_idx_files_read_back_what_was_written(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable


def test_an_idx_file_is_laid_out_as_documented(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 2, 3]], np.uint8))
    header = bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3])
    assert (tmp_path / "a").read_bytes() == header + bytes([1, 2, 3])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x89PNG....", "not an IDX file: it begins with 89 50 4e 47"),
        (bytes([0, 0, 8, 3, 0, 0]), "truncated: it ends within its header, after 6 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 5, 1, 2]), r"truncated: 10 bytes, .* \(5,\), .* takes 13"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), "too long: 10 bytes, .* takes 9"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "not an IDX file"),
        (gzip.compress(b"x" * 500, mtime=0)[:-9], "gzip data are truncated or damaged"),
        (b"\x1f\x8b\x08\x00garbage", "gzip data are truncated or damaged"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, content, text):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as error:
        read_idx(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_idx_takes_its_own_types_only(tmp_path):
    with pytest.raises(TypeError, match="IDX has no int64"):
        write_idx(tmp_path / "a", np.arange(3))
    with pytest.raises(ValueError, match="1 to 255 dimensions"):
        write_idx(tmp_path / "a", np.array(3, np.uint8))


def mnist(folder, n=5, suffix="", part="train"):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)
    return images, labels


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("below", [".", "MNIST/raw"])
@pytest.mark.parametrize("train", [True, False])
def test_mnist_is_read_from_a_folder(tmp_path, suffix, below, train):
    part = "train" if train else "t10k"
    images, labels = mnist(tmp_path / below, suffix=suffix, part=part)
    dataset = MNIST(tmp_path, train=train)
    x, t = dataset[2]
    assert (len(dataset), x.shape, str(x.dtype)) == (5, (1, 28, 28), "float32")
    np.testing.assert_allclose(x.numpy()[0], images[2] / 255, atol=1e-7)
    assert t.item() == labels[2]


def test_missing_mnist_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        MNIST(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte"):
        MNIST(tmp_path)
    mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match="no t10k-images"):
        MNIST(tmp_path, train=False)


def test_images_and_labels_must_belong_together(tmp_path):
    mnist(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"\(4,\) labels for 5 images"):
        MNIST(tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"images should be uint8 \(n, height, width\)"):
        MNIST(tmp_path)


def table(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return CSVTable(path, **options)


def test_a_table_of_numbers(tmp_path):
    t = table(tmp_path, "a,y,b\n1,10,2\n\n3,20,4e-1\n", target="y")
    x, y = t.tensors
    np.testing.assert_allclose(x.numpy(), [[1, 2], [3, 0.4]])
    assert y.tolist() == [10.0, 20.0]
    assert (t.columns, t.target, t.classes) == (("a", "b"), "y", ())
    assert (str(x.dtype), str(y.dtype)) == ("float32", "float32")


def test_a_table_of_classes_numbers_them_in_their_order(tmp_path):
    t = table(tmp_path, 'x,kind\n1,"no, never"\n2,ja\n3,ja\n', classes=True)
    assert t.classes == ("ja", "no, never")
    assert t.tensors[1].tolist() == [1, 0, 0]
    assert str(t.tensors[1].dtype) == "int64"
    numbered = table(tmp_path, "x,kind\n1,10\n2,9\n3,10\n", classes=True)
    assert numbered.classes == ("9", "10")


def test_tables_may_have_a_byte_order_mark_umlauts_and_other_delimiters(tmp_path):
    t = table(tmp_path, b"\xef\xbb\xbfgr\xc3\xb6\xc3\x9fe;y\r\n1;2\r\n", delimiter=";")
    assert t.columns == ("größe",)
    assert t.tensors[0].tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b,y\n1,2,3\n1,abc,3\n", {}, r"row 3, column 'b': 'abc' is not a number"),
        ("a,b,y\n1,,3\n", {}, r"row 2, column 'b': the cell is empty"),
        ("a,b,y\n1,nan,3\n", {}, r"row 2, column 'b': nan is not finite"),
        ("a,b,y\n1,2,high\n", {}, r"row 2, column 'y': 'high' is not a number"),
        ("a,y\n1,\n", {"classes": True}, r"row 2, column 'y': the cell is empty"),
        ("a,b,y\n1,2\n", {}, r"row 2: 2 cells, but the header has 3 columns"),
        ('a,b,y\n"1\n2",2,3\n1,2\n', {}, r"row 4: 2 cells"),
        ("a,b,y\n", {}, r"there is a header, but no row below it"),
        ("", {}, r"the file is empty"),
        ("a,a,y\n1,2,3\n", {}, r"row 1: there are two columns 'a'"),
        ("a,,y\n1,2,3\n", {}, r"row 1: column 2 has no name"),
        ("1,2,3\n4,5,6\n", {}, r"row 1: only numbers"),
        ("a,b\n1,2\n", {"target": "z"}, r"no column 'z'; the columns are a, b"),
        ("y\n1\n", {}, r"'y' is the only column"),
        ("a;y\n1;2\n", {}, r"'a;y' is the only column.*separated by commas"),
        (b"a,y\n1,\xff\n", {}, r"not UTF-8 text \(byte 0xff\)"),
        ('a,y\n1,"2\n', {}, r"row \d+: unexpected end of data"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message) as error:
        table(tmp_path, text, **options)
    assert "table.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        CSVTable(tmp_path / "nothing.csv")


PLANE = [toy.Gauss, toy.Circles, toy.Spirals, toy.Moons, toy.XOR]
LINE = [toy.Sine, toy.Quadratic]


@pytest.mark.parametrize("make", PLANE + LINE)
def test_toy_sets_repeat_by_generator(make):
    def numbers(seed):
        return make(40, noise=0.1, generator=generator(seed)).tensors[0].tolist()

    assert numbers(1) == numbers(1) != numbers(2)


@pytest.mark.parametrize("make", PLANE)
def test_points_of_the_plane_are_of_two_classes_alike(make):
    points = make(101, generator=generator())
    x, t = points[0]
    assert (x.shape, str(x.dtype), t.shape, str(t.dtype)) == ((2,), "float32", (), "int64")
    assert abs(np.bincount(points.tensors[1].numpy()) @ [1, -1]) <= 1
    assert np.isfinite(points.tensors[0].numpy()).all()


def test_xor_is_the_truth_table():
    x, t = toy.XOR().tensors
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert t.tolist() == [0, 1, 1, 0]


def test_circles_and_spirals_lie_where_they_should():
    x, t = (part.numpy() for part in toy.Circles(200, generator=generator()).tensors)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(t, 1.0, 0.5), rtol=1e-6)
    x, t = (part.numpy() for part in toy.Spirals(200, generator=generator()).tensors)
    radius = np.hypot(*x.T)
    assert 0.2 <= radius.min() <= radius.max() <= 1.0
    angle = np.arctan2(x[:, 1], x[:, 0])
    np.testing.assert_allclose(np.cos(angle - 6 * radius), np.where(t, -1.0, 1.0), atol=1e-5)


def test_gauss_has_the_variance_it_says():
    x, t = (part.numpy() for part in toy.Gauss(40000, noise=0.25, generator=generator()).tensors)
    np.testing.assert_allclose(x[t == 1].mean(0), [2, 2], atol=0.05)
    np.testing.assert_allclose(x[t == 0].var(0), 0.5 + 7 * 0.25, rtol=0.05)


@pytest.mark.parametrize("make", LINE)
def test_curves_have_a_column_for_x_and_one_for_t(make):
    x, t = make(30, generator=generator()).tensors
    assert (x.shape, t.shape, str(t.dtype)) == ((30, 1), (30, 1), "float32")


def test_curves_without_noise_are_the_function():
    x, t = (part.numpy() for part in toy.Sine(50, generator=generator()).tensors)
    np.testing.assert_allclose(t, np.sin(2 * x) + 0.3 * x, atol=1e-5)
    x, t = (part.numpy() for part in toy.Quadratic(50, noise=0, generator=generator()).tensors)
    np.testing.assert_allclose(t, 0.5 + x + 2 * x * x, atol=1e-5)
