"""torch.utils.data's path to our data package, so that a program needs only its import changed."""

from tinygrad_mmb.data import BatchSampler as BatchSampler
from tinygrad_mmb.data import ConcatDataset as ConcatDataset
from tinygrad_mmb.data import DataLoader as DataLoader
from tinygrad_mmb.data import Dataset as Dataset
from tinygrad_mmb.data import RandomSampler as RandomSampler
from tinygrad_mmb.data import Sampler as Sampler
from tinygrad_mmb.data import SequentialSampler as SequentialSampler
from tinygrad_mmb.data import Subset as Subset
from tinygrad_mmb.data import SubsetRandomSampler as SubsetRandomSampler
from tinygrad_mmb.data import TensorDataset as TensorDataset
from tinygrad_mmb.data import default_collate as default_collate
from tinygrad_mmb.data import default_convert as default_convert
from tinygrad_mmb.data import random_split as random_split
