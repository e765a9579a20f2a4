-- Gives the lock back.
-- ARGV: secret
if holder() == ARGV[1] then free() end
return {OK}
