-- Smooth weighted round robin with the interface of lua-resty-balancer, which Debian has not.
local M = {}
M.__index = M

function M.new(_, nodes)
  local self = setmetatable({}, M)
  self:reinit(nodes)
  return self
end

function M.reinit(self, nodes)
  self.nodes = {}
  self.current = {}
  self.total = 0
  for id, weight in pairs(nodes) do
    self.nodes[id] = weight
    self.current[id] = 0
    self.total = self.total + weight
  end
end

function M.find(self)
  local best
  for id, weight in pairs(self.nodes) do
    self.current[id] = self.current[id] + weight
    if not best or self.current[id] > self.current[best] then
      best = id
    end
  end
  if best then
    self.current[best] = self.current[best] - self.total
  end
  return best
end

return M
