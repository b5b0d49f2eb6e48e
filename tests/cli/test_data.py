"""Tables and IDX files to learn from: read as they are, or refused with the place."""

import gzip

import pytest

from tests.cli.runs import QUICK, one_line
from tests.cli.tables_and_images import FLOWERS, mnist, table


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzipped"])
def test_mnist_is_read_from_idx_files(mmb, empty_folder, gz):
    mnist(empty_folder / "mnist", gz=gz)
    code, out, _ = mmb("train", "mnist", "mnist", *QUICK, "--out", "a")
    assert code == 0
    assert out.startswith("mnist: 50 training, 10 validation, 20 test samples")
    assert mmb("evaluate", "a")[0] == 0


def test_a_table_is_learnt_and_asked(mmb, empty_folder):
    table(empty_folder / "blumen.csv")
    code, out, _ = mmb("train", "csv", "blumen.csv", "--epochs", 30, "--plain", "--out", "a")
    assert code == 0
    assert "test accuracy 1.0000 (12 of 12)" in out
    assert not (empty_folder / "a" / "misclassified.png").exists()
    (empty_folder / "new.csv").write_text("breite,länge\n-2,2\n0,0\n", encoding="utf-8")
    answer = mmb("predict", "a", "new.csv")[1].splitlines()
    assert answer[1].startswith("0,setosa") or answer[2].startswith("1,")
    kinds = [line.split(",")[1] for line in answer[1:]]
    assert kinds == [FLOWERS[2], FLOWERS[0]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("much,1.0,setosa", "row 4, column 'länge': 'much' is not a number"),
        ("nan,1.0,setosa", "row 4, column 'länge': nan is not finite"),
        ("1.0,setosa", "row 4: 2 cells, but the header has 3 columns"),
        ("1.0,,setosa", "row 4, column 'breite': the cell is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_row_and_column(
    mmb, empty_folder, row, message
):
    table(empty_folder / "t.csv", broken=row)
    assert message in one_line(mmb("train", "csv", "t.csv"))
    assert [p.name for p in empty_folder.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,x\n2,x\n3,x\n4,x\n5,x\n6,x\n", "holds one class only, 'x'"),
        ("a,b\n1,x\n2,y\n", "2 rows are too few"),
        ("a,b\n1e300,x\n2,y\n3,x\n4,y\n5,x\n6,y\n", "too large for float32"),
        ("", "the file is empty"),
    ],
)
def test_a_table_without_a_problem_in_it_is_refused(mmb, empty_folder, text, message):
    (empty_folder / "t.csv").write_text(text, encoding="utf-8")
    assert message in one_line(mmb("train", "csv", "t.csv"))


def test_a_column_of_numbers_is_no_class(mmb, empty_folder):
    lines = ["a,b"] + [f"{i * 0.37:.2f},{i * 0.11:.2f}" for i in range(60)]
    (empty_folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    assert "60 different values in 60 rows. That is no class" in one_line(
        mmb("train", "csv", "t.csv", "--target", "a")
    )
    assert "no column 'size'" in one_line(mmb("train", "csv", "t.csv", "--target", "size"))


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzipped"])
def test_a_truncated_idx_file_is_refused(mmb, empty_folder, gz):
    folder = mnist(empty_folder / "mnist", gz=gz)
    path = folder / f"train-images-idx3-ubyte{'.gz' if gz else ''}"
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated" in one_line(mmb("train", "mnist", "mnist"))
    assert [p.name for p in empty_folder.iterdir()] == ["mnist"]


def test_a_gzipped_file_with_truncated_contents_is_refused(mmb, empty_folder):
    folder = mnist(empty_folder / "mnist", gz=True)
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-3]))
    assert "truncated" in one_line(mmb("train", "mnist", "mnist"))
