{{- define "posology.name" -}}
{{- if not (and .Values.work .Values.database.admin .Values.networkPolicy.destinations) -}}
{{- fail "these are the values of an earlier chart, as `helm upgrade --reuse-values` keeps them; give them with -f, or use --reset-then-reuse-values" -}}
{{- end -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if .Values.nameOverride -}}{{ printf "%s-%s" .Release.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains "posology" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-posology" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{/* Labels of an object: dict "root" $ "component" name. */}}
{{- define "posology.labels" -}}
{{ include "posology.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod: what selects it, and what the values add: dict "root" $ "component" name "pod" its values. */}}
{{- define "posology.podLabels" -}}
{{- $selector := include "posology.selector" . | fromYaml -}}
{{- $own := (.pod | default dict).podLabels | default dict -}}
{{- mergeOverwrite (dict) (.root.Values.commonLabels | default dict) (.root.Values.podLabels | default dict) $own $selector | toYaml -}}
{{- end -}}

{{/* Annotations of a pod: dict "root" $ "pod" its values "own" those of the chart. */}}
{{- define "posology.podAnnotations" -}}
{{- with mergeOverwrite (dict) (.own | default dict) (.root.Values.podAnnotations | default dict) ((.pod | default dict).podAnnotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}



{{- define "posology.selector" -}}
app.kubernetes.io/name: posology
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* An image: dict "root" $ "repository" its name, or its {registry, repository, tag, digest}. A digest wins over a tag. */}}
{{- define "posology.image" -}}
{{- $image := .repository -}}
{{- if not (kindIs "map" $image) -}}{{- $image = dict "repository" $image -}}{{- end -}}
{{- $tag := $image.tag | default .root.Values.images.tag | default .root.Chart.AppVersion -}}
{{- with $image.registry | default .root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else if hasPrefix "@" $tag -}}{{ $image.repository }}{{ $tag }}{{- else -}}{{ $image.repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{- define "posology.address" -}}
{{ include "posology.name" .root }}-{{ .service }}.{{ .root.Release.Namespace }}.svc:7410
{{- end -}}

{{- define "posology.storage" -}}
{{- $folder := printf "file:///var/lib/posology-store/%s" .kind -}}
{{- $url := index .root.Values.storage .kind -}}
{{- if and (not $url) (not .root.Values.storage.volume.enabled) -}}
{{- fail (printf "storage.%s: name an object store, or set storage.volume.enabled" .kind) -}}
{{- end -}}
{{- $url | default $folder -}}
{{- end -}}

{{- define "posology.storageClaim" -}}
{{- .Values.storage.volume.claim | default (printf "%s-store" (include "posology.name" .)) -}}
{{- end -}}

{{/* The claim where engines keep weights; empty = none. They write there, so nothing else may lie in it. */}}
{{- define "posology.weightsClaim" -}}
{{- $claim := .Values.engines.cache.claim -}}
{{- if and $claim (or (eq $claim (include "posology.sourcesClaim" .)) (and .Values.storage.volume.enabled (eq $claim (include "posology.storageClaim" .)))) -}}
{{- fail (printf "engines.cache.claim: %s holds what engines may not write; name a claim of its own" $claim) -}}
{{- end -}}
{{- $claim -}}
{{- end -}}

{{/* The claim with labels, suites and models; empty = none. */}}
{{- define "posology.sourcesClaim" -}}
{{- if .Values.sources.claim -}}{{ .Values.sources.claim }}
{{- else if .Values.sample.enabled -}}{{ include "posology.name" . }}-sample{{- end -}}
{{- end -}}

{{- define "posology.databaseSecret" -}}
{{- if .Values.database.secret -}}{{ .Values.database.secret }}
{{- else if .Values.postgresql.enabled -}}{{ include "posology.name" . }}-database
{{- else -}}{{ fail "database.secret: name a Secret with PostgreSQL's URL, or set postgresql.enabled" }}{{- end -}}
{{- end -}}

{{/* "true" where the release makes a role for each service. */}}
{{- define "posology.databaseRoles" -}}
{{- if or .Values.database.admin.secret (and .Values.postgresql.enabled (not .Values.database.secret) .Values.credentials.create) -}}true{{- end -}}
{{- end -}}

{{/* The key of the database's Secret with a service's URL: dict "root" $ "service" name. */}}
{{- define "posology.databaseKey" -}}
{{- $keys := .root.Values.database.keys -}}
{{- if index $keys .service -}}{{ index $keys .service }}
{{- else if include "posology.databaseRoles" .root -}}{{ .service }}
{{- else -}}{{ $keys.default }}{{- end -}}
{{- end -}}

{{/* `null` in the values takes a key away, so that the platform sets it (arbitrary UIDs of OpenShift). */}}
{{- define "posology.podSecurity" -}}
{{- $security := dict -}}
{{- range $key, $value := .Values.podSecurityContext }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $security $key $value }}{{ end }}{{ end -}}
{{- toYaml $security -}}
{{- end -}}

{{- define "posology.containerSecurity" -}}
{{- toYaml .Values.containerSecurityContext -}}
{{- end -}}

{{/* A security context of one component, over that of all; `null` takes a key away here too: dict "all" and "own". */}}
{{- define "posology.securityOf" -}}
{{- $security := dict -}}
{{- range $key, $value := .all }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $security $key $value }}{{ end }}{{ end -}}
{{- range $key, $value := .own -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $security $key }}{{ else }}{{ $_ := set $security $key $value }}{{ end -}}
{{- end -}}
{{- toYaml $security -}}
{{- end -}}

{{/* Fields of a component's pod beside its containers that only its own values set. */}}
{{- define "posology.podExtras" -}}
{{- range $key := list "dnsPolicy" "dnsConfig" "hostAliases" "initContainers" }}
{{- with index $ $key }}
{{ $key }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the workers of one service look like, as POSOLOGY_WORKER_PODS wants it: dict "root" $ "service" name. */}}
{{- define "posology.workerPods" -}}
{{- $v := .root.Values -}}
{{- $evaluates := eq .service "evaluation" -}}
{{- $repository := ternary $v.images.evaluator $v.images.worker $evaluates -}}
{{- $volumes := list -}}
{{- if $v.storage.volume.enabled -}}
{{- $volumes = append $volumes (dict "claim" (include "posology.storageClaim" .root) "path" "/var/lib/posology-store") -}}
{{- end -}}
{{- with include "posology.sourcesClaim" .root -}}
{{- $volumes = append $volumes (dict "claim" . "path" $v.sources.path "readOnly" true) -}}
{{- end -}}
{{- $role := include "posology.workerRole" . -}}
{{- $pools := dict -}}
{{- range $name, $pool := $v.workers.pools -}}
{{- $image := ternary $pool.evaluatorImage $pool.image $evaluates -}}
{{- $_ := set $pools $name (merge (dict "image" ($image | default "")) (omit $pool "image" "evaluatorImage")) -}}
{{- end -}}
{{- $pods := dict
  "image" (include "posology.image" (dict "root" .root "repository" $repository))
  "imagePullPolicy" $v.images.pullPolicy
  "securityContext" (include "posology.podSecurity" .root | fromYaml)
  "imagePullSecrets" $v.images.pullSecrets
  "serviceAccount" (printf "%s-worker" (include "posology.name" .root))
  "environment" (mergeOverwrite (include "posology.telemetryEnv" (dict "root" .root "service" .service "worker" true) | fromJson) $v.workers.env)
  "secrets" $v.workers.secrets
  "storageSecret" $v.storage.workerSecret
  "storageRole" (ternary (fromJson $role) nil (ne $role ""))
  "peers" (ternary (printf "%s-peers" (include "posology.name" .root)) "" (eq .service "training"))
  "volumes" $volumes
  "tlsSecret" (include "posology.tlsSecret" (dict "root" .root "service" "worker"))
  "scratch" $v.workers.scratch
  "graceSeconds" ($v.workers.graceSeconds | int)
  "startSeconds" ($v.workers.startSeconds | int)
  "keepSeconds" ($v.workers.keepSeconds | int)
  "pools" $pools
  "pool" $v.workers.pool
  "gpuPool" $v.workers.gpuPool -}}
{{- mergeOverwrite $pods (include "posology.workPlaces" .root | fromJson) | toJson -}}
{{- end -}}

{{/* The account whose end is that of all engines: an owner is of their own namespace. */}}
{{- define "posology.engineOwner" -}}
{{ include "posology.name" . }}-{{ ternary "engine" "serving" .Values.work.apart }}
{{- end -}}

{{/* What engines look like, as POSOLOGY_ENGINE_PODS wants it. */}}
{{- define "posology.enginePods" -}}
{{- $v := .Values -}}{{- $e := .Values.engines -}}
{{- $volumes := list -}}
{{- if and $v.storage.volume.enabled (not $v.storage.released) -}}
{{- $volumes = append $volumes (dict "claim" (include "posology.storageClaim" .) "path" "/var/lib/posology-store/released" "subPath" "released") -}}
{{- end -}}
{{- $pods := dict
  "image" ($e.image | default (include "posology.image" (dict "root" . "repository" $v.images.engine)))
  "python" $e.python
  "args" $e.args
  "environment" $e.env
  "resources" $e.resources
  "agentImage" (include "posology.image" (dict "root" . "repository" $v.images.control))
  "agentResources" $e.agentResources
  "imagePullPolicy" $v.images.pullPolicy
  "securityContext" (include "posology.podSecurity" . | fromYaml)
  "imagePullSecrets" $v.images.pullSecrets
  "serviceAccount" (printf "%s-engine" (include "posology.name" .))
  "owner" (include "posology.engineOwner" .)
  "labels" (dict "app.kubernetes.io/instance" .Release.Name)
  "keys" (printf "%s-public-keys" (include "posology.name" .))
  "denyList" (printf "%s-deny-list" (include "posology.name" .))
  "storageSecret" (include "posology.engineStorageSecret" .)
  "tlsSecret" (include "posology.tlsSecret" (dict "root" . "service" "engine"))
  "volumes" $volumes
  "weights" $e.weights
  "cache" (include "posology.weightsClaim" .)
  "startSeconds" ($e.startSeconds | int)
  "drainSeconds" ($e.drainSeconds | int)
  "surge" $e.surge
  "pools" $e.pools
  "pool" $e.pool
  "gpuPool" $e.gpuPool -}}
{{- mergeOverwrite $pods (include "posology.workPlaces" . | fromJson) | toJson -}}
{{- end -}}

{{/* Variables that say whom a process tells what it does: dict "root" $ "service" name "worker" whether it is one. */}}
{{- define "posology.telemetryEnv" -}}
{{- $t := .root.Values.telemetry | default dict -}}{{- $env := dict -}}
{{- with $t.otlpEndpoint }}{{ $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end -}}
{{- if and $t.mlflowTrackingUri .worker (eq .service "training") }}{{ $_ := set $env "MLFLOW_TRACKING_URI" $t.mlflowTrackingUri }}{{ end -}}
{{- toJson $env -}}
{{- end -}}

{{/* Variables of a service: dict "root" $ "service" name. */}}
{{- define "posology.env" -}}
{{- $root := .root -}}{{- $v := .root.Values -}}{{- $service := .service -}}
- {name: POSOLOGY_DATA_DIR, value: /var/lib/posology}
- {name: POSOLOGY_LISTEN, value: "0.0.0.0:7410"}
- {name: POSOLOGY_METRICS_PORT, value: "9090"}
- {name: POSOLOGY_TOKEN_FILE, value: /etc/posology/token/token}
{{- include "posology.authentication" . | trim | nindent 0 }}
{{- include "posology.tlsEnv" . | trim | nindent 0 }}
- {name: POSOLOGY_CATALOG_ADDRESS, value: {{ include "posology.address" (dict "root" $root "service" "orchestrator") | quote }}}
{{- range list "orchestrator" "curation" "training" "evaluation" "serving" "gateway" }}
- {name: POSOLOGY_{{ upper . }}_ADDRESS, value: {{ include "posology.address" (dict "root" $root "service" .) | quote }}}
{{- end }}
{{- if eq $service "operator" }}
- {name: POSOLOGY_TRUST_SUBMITTED_BY, value: {{ ne $v.authentication.mode "token" | quote }}}
- {name: POSOLOGY_IDENTITY, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POSOLOGY_LEASE_NAME, value: {{ include "posology.name" $root }}-operator}
- {name: POSOLOGY_DENY_LIST_CONFIG_MAP, value: {{ include "posology.name" $root }}-deny-list}
{{- if $v.work.apart }}
- {name: POSOLOGY_DENY_LIST_NAMESPACES, value: {{ include "posology.workNamespaces" $root | fromJsonArray | join "," | quote }}}
{{- end }}
{{- if $v.releasePolicy.resources }}
- {name: POSOLOGY_PUBLIC_KEYS_CONFIG_MAP, value: {{ include "posology.name" $root }}-public-keys}
{{- end }}
- {name: POSOLOGY_WATCH_NAMESPACES, value: {{ join "," $v.operator.namespaces | quote }}}
{{- else }}
- {name: POSOLOGY_ADVERTISE, value: {{ include "posology.address" (dict "root" $root "service" $service) | quote }}}
- {name: POSOLOGY_CONNECTION_AGE_SECONDS, value: "300"}
- name: POSOLOGY_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "posology.databaseSecret" $root }}
      key: {{ include "posology.databaseKey" . }}
{{- range list "candidates" "released" "staging" }}
- {name: POSOLOGY_{{ upper . }}_URL, value: {{ include "posology.storage" (dict "root" $root "kind" .) | quote }}}
{{- end }}
- {name: POSOLOGY_KEYS_DIR, value: /etc/posology/keys}
- {name: POSOLOGY_RELEASE_POLICY_FILE, value: /etc/posology/keys/release-policy.dsse.json}
{{- if eq $service "serving" }}
- {name: POSOLOGY_DENY_LIST_FILE, value: /etc/posology/deny-list/deny-list.dsse.json}
{{- end }}
- {name: POSOLOGY_ALLOWED_SOURCE_URIS, value: {{ join "," $v.sources.uris | quote }}}
- {name: POSOLOGY_ALLOWED_MODEL_URIS, value: {{ join "," $v.sources.models | quote }}}
{{- if include "posology.sourcesClaim" $root }}
- {name: POSOLOGY_ALLOWED_SOURCE_FOLDERS, value: {{ $v.sources.path | quote }}}
{{- end }}
{{- if $v.sources.hub }}
- {name: POSOLOGY_HUB_ENDPOINT, value: {{ $v.sources.hub | quote }}}
{{- end }}
{{- end }}
{{- if has $service (list "curation" "training" "evaluation") }}
- {name: POSOLOGY_MODEL_ENDPOINTS_DIR, value: /etc/posology/model-endpoints}
{{- end }}
{{- if has $service (list "curation" "training" "evaluation") }}
- {name: POSOLOGY_LAUNCHER, value: kubernetes}
- {name: POSOLOGY_WORKERS, value: {{ index $v.workers.concurrency $service | quote }}}
- {name: POSOLOGY_WORKER_PODS, value: {{ include "posology.workerPods" (dict "root" $root "service" $service) | quote }}}
{{- end }}
{{- if eq $service "serving" }}
- {name: POSOLOGY_LAUNCHER, value: kubernetes}
- {name: POSOLOGY_ENGINE_PODS, value: {{ include "posology.enginePods" $root | quote }}}
{{- end }}
{{- if eq $service "gateway" }}
- {name: POSOLOGY_HTTP_LISTEN, value: "0.0.0.0:8080"}
- {name: POSOLOGY_LEAVE_SECONDS, value: "5"}
{{- end }}
{{- if and $v.tls.enabled (has $service (list "gateway" "serving")) }}
- {name: POSOLOGY_ENGINE_TLS_NAME, value: {{ printf "%s-engine.%s.svc" (include "posology.name" $root) $root.Release.Namespace | quote }}}
{{- end }}
{{- range $name, $value := include "posology.telemetryEnv" (dict "root" $root "service" $service "worker" false) | fromJson }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $value := (index $v.services $service).env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with (index $v.services $service).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
