"""Data sets, the loader that makes batches of them, and readers for digits, MNIST and CSV files."""

from tinygrad_mmb.data import toy as toy
from tinygrad_mmb.data.collate import default_collate as default_collate
from tinygrad_mmb.data.collate import default_convert as default_convert
from tinygrad_mmb.data.csv_table import CSVTable as CSVTable
from tinygrad_mmb.data.dataloader import DataLoader as DataLoader
from tinygrad_mmb.data.dataset import ConcatDataset as ConcatDataset
from tinygrad_mmb.data.dataset import Dataset as Dataset
from tinygrad_mmb.data.dataset import Subset as Subset
from tinygrad_mmb.data.dataset import TensorDataset as TensorDataset
from tinygrad_mmb.data.dataset import random_split as random_split
from tinygrad_mmb.data.dataset import stratified_split as stratified_split
from tinygrad_mmb.data.digits import Digits as Digits
from tinygrad_mmb.data.mnist import MNIST as MNIST
from tinygrad_mmb.data.mnist import read_idx as read_idx
from tinygrad_mmb.data.mnist import write_idx as write_idx
from tinygrad_mmb.data.samplers import BatchSampler as BatchSampler
from tinygrad_mmb.data.samplers import RandomSampler as RandomSampler
from tinygrad_mmb.data.samplers import Sampler as Sampler
from tinygrad_mmb.data.samplers import SequentialSampler as SequentialSampler
from tinygrad_mmb.data.samplers import SubsetRandomSampler as SubsetRandomSampler
