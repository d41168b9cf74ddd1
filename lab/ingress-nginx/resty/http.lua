-- Debian has no lua-resty-http. Only OCSP stapling asks for it, and that is off.
local M = {}

function M.new()
  error("this build cannot fetch OCSP responses: leave enable-ocsp off")
end

return M
