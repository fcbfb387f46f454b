"""What every room needs of asyncio, threads, files and the log: queues, time limits, pauses, rate limits, paths."""
