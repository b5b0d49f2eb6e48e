"""Which of equal values topk takes: the order that C++'s partial sorts leave.

PyTorch fills a list of (value, index) and calls `std::nth_element` and `std::sort`, or
`std::partial_sort` where k is small. Neither is stable, so of equal values not the first are taken
but those that these algorithms, as GNU's library writes them, happen to leave in front. Whoever
takes another one gives its gradient to another element. Called for rows with equal values only.
"""

from __future__ import annotations

from typing import Any

__all__ = ["first_k"]

Pairs = list[tuple[Any, int]]  # (rank of the value: smaller comes first, index)


def first_k(ranks: list[Any], k: int, in_order: bool) -> list[int]:
    """The indices of the k smallest ranks, as PyTorch finds them."""
    a: Pairs = [(rank, index) for index, rank in enumerate(ranks)]
    n = len(a)
    if k * 64 <= n:
        heap_select(a, 0, k, n)
        sort_heap(a, 0, k)
    elif k:
        nth_element(a, k - 1, n)
        if in_order:
            quicksort(a, k - 1)
    return [index for _, index in a[:k]]


def before(x: tuple[Any, int], y: tuple[Any, int]) -> bool:
    """Whether x must stand before y; of equal values neither must."""
    return bool(x[0] < y[0])


def swap(a: Pairs, i: int, j: int) -> None:
    """Exchange two places."""
    a[i], a[j] = a[j], a[i]


def depth(n: int) -> int:
    """How often quicksort may split before heapsort takes over: 2 ⌊log₂ n⌋."""
    return 2 * (n.bit_length() - 1)


def nth_element(a: Pairs, nth: int, last: int) -> None:
    """Put at `nth` what belongs there, smaller ones before it, larger ones behind it."""
    first, limit = 0, depth(last)
    if nth == last or not last:
        return
    while last - first > 3:
        if limit == 0:
            heap_select(a, first, nth + 1, last)
            swap(a, first, nth)
            return
        limit -= 1
        cut = partition(a, first, last)
        first, last = (cut, last) if cut <= nth else (first, cut)
    insertion_sort(a, first, last)


def quicksort(a: Pairs, last: int) -> None:
    """Quicksort down to stretches of 16, then insertion sort."""
    if not last:
        return
    stretches = [(0, last, depth(last))]
    while stretches:
        first, end, limit = stretches.pop()
        while end - first > 16:
            if limit == 0:
                heap_select(a, first, end, end)
                sort_heap(a, first, end)
                break
            limit -= 1
            cut = partition(a, first, end)
            stretches.append((cut, end, limit))
            end = cut
    insertion_sort(a, 0, min(16, last))
    for i in range(16, last):
        insert(a, i)


def partition(a: Pairs, first: int, last: int) -> int:
    """Split around the median of three; returns where the second part begins."""
    median_to_front(a, first, first + 1, first + (last - first) // 2, last - 1)
    pivot, low, high = a[first], first + 1, last
    while True:
        while before(a[low], pivot):
            low += 1
        high -= 1
        while before(pivot, a[high]):
            high -= 1
        if not low < high:
            return low
        swap(a, low, high)
        low += 1


def median_to_front(a: Pairs, front: int, i: int, j: int, k: int) -> None:
    """Exchange a[front] with the median of three others."""
    if before(a[i], a[j]):
        if before(a[j], a[k]):
            swap(a, front, j)
        else:
            swap(a, front, k if before(a[i], a[k]) else i)
    elif before(a[i], a[k]):
        swap(a, front, i)
    else:
        swap(a, front, k if before(a[j], a[k]) else j)


def insertion_sort(a: Pairs, first: int, last: int) -> None:
    """Each element moves forward to its place: stable, so the one stable part of all this."""
    for i in range(first + 1, last):
        if before(a[i], a[first]):
            a.insert(first, a.pop(i))
        else:
            insert(a, i)


def insert(a: Pairs, i: int) -> None:
    """Move a[i] forward until the one before it is not larger."""
    j = i
    while before(a[i], a[j - 1]):
        j -= 1
    a.insert(j, a.pop(i))


def heap_select(a: Pairs, first: int, middle: int, last: int) -> None:
    """Make [first, middle) a heap of the smallest, the largest of them on top."""
    size = middle - first
    for parent in range((size - 2) // 2, -1, -1):
        sift(a, first, parent, size, a[first + parent])
    for i in range(middle, last):
        if before(a[i], a[first]):
            value, a[i] = a[i], a[first]
            sift(a, first, 0, size, value)


def sort_heap(a: Pairs, first: int, last: int) -> None:
    """Take the largest from the top, again and again."""
    for end in range(last - 1, first, -1):
        value, a[end] = a[end], a[first]
        sift(a, first, 0, end - first, value)


def sift(a: Pairs, first: int, hole: int, size: int, value: tuple[Any, int]) -> None:
    """Fill the hole from below to the bottom, then let `value` rise from there."""
    top, child = hole, hole
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if before(a[first + child], a[first + child - 1]):
            child -= 1
        a[first + hole] = a[first + child]
        hole = child
    if size % 2 == 0 and child == (size - 2) // 2:
        child = 2 * child + 1
        a[first + hole] = a[first + child]
        hole = child
    parent = (hole - 1) // 2
    while hole > top and before(a[first + parent], value):
        a[first + hole] = a[first + parent]
        hole, parent = parent, (parent - 1) // 2
    a[first + hole] = value
