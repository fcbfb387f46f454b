"""A Kafka consumer that is always there: made anew, after a pause, whenever it fails.

Knows how a consumer begins and ends, and that one that hangs is left behind with all it had started; so this has a loop
of its own. Knows nothing of what is consumed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from edge_agent.config import KafkaSettings
from edge_agent.runtime.backoff import Backoff
from edge_agent.runtime.timeouts import close_client, with_timeout

_ABANDON_S = 1.0


async def consume_forever(
    settings: KafkaSettings,
    make: Callable[[], Any],
    consume: Callable[[Any, Callable[[], None]], Awaitable[None]],
    failed: Callable[[Exception], Awaitable[None]],
) -> None:
    """Consume until cancelled.

    Args:
        settings: how long a call may take, and the longest pause.
        make: returns a consumer that is not started.
        consume: is given the started consumer and what to call as soon as all is well; it does not return.
        failed: is told why a consumer ended, before it is let go.
    """
    backoff = Backoff(settings.retry_max_s)
    while True:
        before = asyncio.all_tasks()
        consumer: Any = None
        try:
            consumer = make()
            await with_timeout(consumer.start(), settings.send_timeout_s)
            await consume(consumer, backoff.reset)
        except Exception as error:  # noqa: BLE001 - aiokafka lets more than its own errors out; each means no link
            await failed(error)
        finally:
            if consumer is not None:
                # Where stop hangs, the sockets are still to be closed; there is no public way to them.
                await close_client((consumer.stop, consumer._client.close), before, _ABANDON_S)
        await asyncio.sleep(backoff.next_s())
