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

{{/* Variables with the credentials of the stores that a service works with, or nothing where they are not told apart by
URLs (#env:NAME): dict "root" $ "service" name. Training reads what is released, with the credentials of engines if there are any. */}}
{{- define "posology.storageEnv" -}}
{{- $storage := .root.Values.storage -}}
{{- $stores := dict "orchestrator" (list "candidates") "curation" (list "candidates" "staging") "training" (list "candidates" "staging" "released")
  "evaluation" (list "candidates" "staging") "serving" (list "candidates" "released") -}}
{{- $names := list -}}
{{- range $kind := index $stores .service -}}
{{- $key := include "posology.storageKey" (dict "root" $.root "kind" $kind) -}}
{{- if and $key (not (has $key $names)) }}
{{- $names = append $names $key }}
{{- $reader := and (eq $.service "training") (eq $kind "released") $.root.Values.engines.storageSecret (not $.root.Values.work.apart) }}
- {name: {{ $key }}, valueFrom: {secretKeyRef: {name: {{ ternary $.root.Values.engines.storageSecret $storage.secret (not (empty $reader)) }}, key: {{ $key }}}}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The key of storage.secret that one store's URL names; empty = none: dict "root" $ "kind" of store. */}}
{{- define "posology.storageKey" -}}
{{- $url := index .root.Values.storage .kind -}}
{{- if contains "#env:" $url -}}{{ (splitList "#env:" $url) | last }}{{- end -}}
{{- end -}}

{{/* "true" where each store's URL names its key, so that each service gets those of its stores. */}}
{{- define "posology.storageIsNamed" -}}
{{- $all := true -}}
{{- range list "candidates" "released" "staging" -}}
{{- $url := index $.Values.storage . -}}
{{- if and $url (not (hasPrefix "file:" $url)) (not (contains "#env:" $url)) -}}{{- $all = false -}}{{- end -}}
{{- end -}}
{{- if $all -}}true{{- end -}}
{{- end -}}
