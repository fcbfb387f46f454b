"""A queue between two threads: bounded, counted, with one wake-up."""

from edge_agent.runtime.queues import ThreadQueue


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def test_values_come_out_in_order_and_wake_once() -> None:
    wakes = Wakes()
    queue: ThreadQueue[int] = ThreadQueue(wakes)
    assert all(queue.put(number) for number in range(5))
    assert wakes.count == 1
    queue.arm_wakeup()
    assert [queue.pop() for _ in range(6)] == [0, 1, 2, 3, 4, None]
    queue.put(5)
    assert wakes.count == 2


def test_full_queue_refuses_and_counts_instead_of_waiting() -> None:
    queue: ThreadQueue[int] = ThreadQueue(Wakes(), max_items=3)
    assert [queue.put(number) for number in range(5)] == [True, True, True, False, False]
    assert (queue.lost, len(queue)) == (2, 3)
    queue.pop()
    assert queue.put(5)


def test_pictures_have_a_bound_of_their_own_and_leave_room_for_events() -> None:
    queue: ThreadQueue[str] = ThreadQueue(Wakes(), max_items=10, max_bulky=2)
    assert [queue.put("picture", bulky=True) for _ in range(4)] == [True, True, False, False]
    assert queue.put("event")
    assert (queue.lost, queue.lost_bulky) == (0, 2)
    queue.pop()
    assert queue.put("picture", bulky=True)
