-- Rendezvous hashing with the interface of lua-resty-balancer's consistent hash, which Debian has not.
local M = {}
M.__index = M

function M.new(_, nodes)
  local self = setmetatable({}, M)
  self:reinit(nodes)
  return self
end

function M.reinit(self, nodes)
  self.nodes = {}
  for id, weight in pairs(nodes) do
    self.nodes[id] = weight
  end
end

function M.find(self, key)
  local best, highest
  for id in pairs(self.nodes) do
    local score = ngx.crc32_long(tostring(key) .. id)
    if not best or score > highest then
      best, highest = id, score
    end
  end
  return best
end

return M
