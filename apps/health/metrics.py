"""What is not counted but read when somebody asks: see `readings`."""

from apps.core.metrics import read_gauge

BUILD = read_gauge("docmill_build_info", "What runs; always 1.", "version", "python", "database")
COLLECTOR_UP = read_gauge(
    "docmill_collector_up", "Whether what is read from there could be read.", "source"
)
QUEUE_ROWS = read_gauge(
    "docmill_queue_rows", "Rows that wait, wait to be retried, are held back or run.", "lane", "at"
)
QUEUE_OLDEST = read_gauge(
    "docmill_queue_oldest_seconds",
    "How long the first row that could start waits; 0: none.",
    "lane",
)
QUEUE_LIMIT = read_gauge("docmill_queue_limit", "Rows that may run at once.", "lane")
QUEUE_PAUSED = read_gauge("docmill_queue_paused", "1 while nothing of the lane may start.", "lane")
QUEUE_SLOTS = read_gauge("docmill_queue_slots", "Slots of living workers that serve it.", "lane")
WORKERS = read_gauge("docmill_workers", "Workers that are listed: alive or silent.", "state")
SWEEP_AGE = read_gauge("docmill_sweep_age_seconds", "Seconds since the last sweep began.")
JOBS_OPEN = read_gauge("docmill_jobs_open", "Jobs that have not ended.", "state")
UNREAD = read_gauge(
    "docmill_notifications_unread", "Notifications that are unread, up to 100 000 are counted."
)
REDIS_MEMORY = read_gauge("docmill_redis_memory_bytes", "What the broker's server has in memory.")
STORAGE_FREE = read_gauge("docmill_storage_free_bytes", "Free on the disk of DOCMILL_DATA_DIR.")
