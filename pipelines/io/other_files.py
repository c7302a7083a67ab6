"""Files that hold tables and are not read: what makes one of them that is, by their ending."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.errors import DataError

SPECIAL = '"$`\\!'  # what a shell reads between double quotes
# What to type for archives, by their ending.
UNPACK: Mapping[str, str] = MappingProxyType(
    {
        ".zip": "Unpack it: unzip FILE.zip",
        ".tar": "Unpack it: tar xf FILE.tar",
        ".tgz": "Unpack it: tar xf FILE.tgz",
        ".7z": "Unpack it: 7z x FILE.7z",
        ".rar": "Unpack it: unrar x FILE.rar",
        ".bz2": "Unpack it: bunzip2 FILE.bz2",
        ".xz": "Unpack it: unxz FILE.xz",
        ".zst": "Unpack it: unzstd FILE.zst",
    }
)
WITH_PANDAS: Mapping[str, str] = MappingProxyType(
    {
        ".feather": "read_feather",
        ".arrow": "read_feather",
        ".orc": "read_orc",
        ".h5": "read_hdf",
        ".hdf": "read_hdf",
        ".hdf5": "read_hdf",
        ".dta": "read_stata",
        ".sav": "read_spss",
        ".sas7bdat": "read_sas",
        ".xpt": "read_sas",
        ".xml": "read_xml",
        ".pkl": "read_pickle",
        ".pickle": "read_pickle",
    }
)
OTHERS: Mapping[str, str] = MappingProxyType(
    {
        ".arff": "an ARFF file, as Weka writes it: "
        "(grep -i '^@attribute' {file} | awk '{{print $2}}' | paste -sd,; "
        "sed '1,/^@data/Id' {file}) > {new}",
        ".tsf": "an archive of series: give it to the application forecast",
        ".ts": "a file of sktime, of series that have a class each. Whole series are not "
        "classified here; to forecast their values, write a table with the columns series, time "
        "and value",
        ".rds": "a file of R: Rscript -e \"write.csv(readRDS('FILE.rds'), 'FILE.csv', "
        'row.names = FALSE)"',
        ".rdata": "a file of R: write.csv(TABLE, 'FILE.csv', row.names = FALSE) after load()",
        ".mat": "a file of MATLAB: writetable(TABLE, 'FILE.csv') there makes a table",
        ".sqlite": "a database: sqlite3 -csv -header {file} 'select * from TABLE' > {new}",
        ".db": "a database: sqlite3 -csv -header {file} 'select * from TABLE' > {new}",
        ".npy": "an array: python -c \"import numpy; numpy.savetxt('FILE.csv', "
        "numpy.load('FILE.npy'), delimiter=',')\"",
        ".npz": "arrays: numpy.savetxt('FILE.csv', numpy.load('FILE.npz')['NAME'], delimiter=',')",
        ".avro": "an Avro file: read it with fastavro, and save it as CSV or Parquet",
        ".tfrecord": "records of TensorFlow: save their features as CSV or Parquet",
        ".html": "a page: copy its table into a CSV file",
        ".docx": "a document: copy its table into a CSV file",
        ".pdf": "a document: copy its table into a CSV file",
        ".md": "a document: copy its table into a CSV file",
    }
)


def remedy(path: Path) -> str:
    """Return what makes a table of a file that is not read, "" where its ending says nothing."""
    ending = path.suffix.lower()
    if ending in UNPACK:
        return f"is packed. {UNPACK[ending]}"
    if ending in WITH_PANDAS:
        caution = ", if you trust it: it may run code" if "pickle" in WITH_PANDAS[ending] else ""
        code = (
            f"import pandas; pandas.{WITH_PANDAS[ending]}({str(path)!r})"
            f".to_csv({str(path.with_suffix('.csv'))!r})"
        )
        is_plain = not set(code) & set(SPECIAL)
        typed = f'"{code}"' if is_plain else shlex.quote(code)
        return f"is not read. Make a CSV file of it{caution}: python -c {typed}"
    if ending in OTHERS:
        new = shlex.quote(str(path.with_suffix(".csv")))
        return f"is {OTHERS[ending].format(file=shlex.quote(str(path)), new=new)}"
    return ""


def said_of(path: Path) -> str:
    """Return `remedy` as a sentence of its own."""
    found = remedy(path)
    return f"It {found}" if found else ""


def require_table(path: Path) -> None:
    """Refuse a file whose ending says that it holds a table, or none, in a form that is not read.

    Raises:
        DataError: the message says how to make one of it.
    """
    found = remedy(path)
    if found:
        raise DataError(f"{path}: {found}")
