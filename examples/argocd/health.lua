-- Health of a FineTuneRun for Argo CD, by the conditions that every kstatus tool reads (docs/kubernetes/argocd.md).
-- A run that waits for people is Suspended, so that a sync with waves goes on waiting and nobody is paged.
local health = { status = "Progressing", message = "the operator has not seen this resource yet" }
local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not seen the newest spec yet"
  return health
end
health.message = status.message or ""
local holds = {}
for _, condition in ipairs(status.conditions) do
  if condition.status == "True" then
    holds[condition.type] = condition
  end
end
if holds.Stalled then
  health.status, health.message = "Degraded", holds.Stalled.message
elseif holds.Ready then
  health.status = "Healthy"
elseif holds.ReviewPending or (obj.spec ~= nil and obj.spec.suspend) then
  health.status = "Suspended"
end
return health
