local OK, NOT_FOUND, CONFLICT, HELD, LOST, EXISTS, CORRUPT = 0, 1, 2, 3, 4, 5, 6
-- Whether a commit waits for replicas. WAIT counts those that have what its connection wrote last: what
-- was done already, on another connection, is written once more.
local WAITS = false
local RECORD, LOCK_ONLY = 'S1R\0', 'S1L\0'
local NOBODY = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_LOCK = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_OPS = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_REVISION = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
-- How long a lock without a record is kept after its lease, in which nobody may have taken it.
local LINGER = 60000
local FAR = '\0\0\230\119\210\031\219\255'
