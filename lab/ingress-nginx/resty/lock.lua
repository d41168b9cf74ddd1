-- A lock in a shared dictionary with the interface of lua-resty-lock, which Debian has not. It never waits: the one
-- caller (the EWMA balancer) asks for a time-out of 0.
local M = {}
M.__index = M

function M.new(_, dictionary, options)
  local shared = ngx.shared[dictionary]
  if not shared then
    return nil, "no shared dictionary " .. dictionary
  end
  return setmetatable({ shared = shared, expires = options and options.exptime or 30 }, M)
end

function M.lock(self, key)
  if not self.shared:add(key, true, self.expires) then
    return nil, "timeout"
  end
  self.key = key
  return 0
end

function M.unlock(self)
  if self.key then
    self.shared:delete(self.key)
    self.key = nil
  end
  return 1
end

return M
