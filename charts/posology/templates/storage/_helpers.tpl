{{/* The role that a service assumes for its workers, as StorageRole wants it; empty without one: dict "root" $ "service" name. */}}
{{- define "posology.workerRole" -}}
{{- $storage := .root.Values.storage -}}{{- $role := $storage.workerRole -}}
{{- if $role.arn -}}
{{- if $storage.workerSecret -}}{{- fail "storage.workerRole and storage.workerSecret: name one of them" -}}{{- end -}}
{{- if $storage.volume.enabled -}}{{- fail "storage.workerRole: a volume knows no roles" -}}{{- end -}}
{{- if (index .root.Values.serviceAccounts.annotations "worker" | default dict) -}}
{{- fail "storage.workerRole: leave serviceAccounts.annotations.worker out, or a worker may have both" -}}
{{- end -}}
{{- $reads := has .service (list "curation" "evaluation") -}}
{{- dict "arn" $role.arn "endpoint" $role.endpoint "seconds" ($role.seconds | int) "kmsKeys" $role.kmsKeys
  "sources" (ternary .root.Values.sources.uris list $reads) | toJson -}}
{{- end -}}
{{- end -}}
