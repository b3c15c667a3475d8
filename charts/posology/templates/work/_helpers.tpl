{{/* Where work runs that its team gave no namespace to: workers and engines. */}}
{{- define "posology.workNamespace" -}}
{{- $work := .Values.work -}}
{{- if not $work.apart -}}
{{- if or $work.namespace $work.teams -}}{{- fail "work.namespace, work.teams: namespaces of work need work.apart" -}}{{- end -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- if and .Values.storage.volume.enabled (not .Values.storage.volume.claim) -}}
{{- fail "work.apart: a volume that the chart makes is of one namespace; use an object store, name a claim that each namespace of work has (storage.volume.claim), or set work.apart=false: workers then run beside the signing keys, which admission policies alone keep from them" -}}
{{- end -}}
{{- if and .Values.sample.enabled (not .Values.sources.claim) -}}
{{- fail "work.apart: the volume of sample.enabled is of one namespace; set work.apart=false to try things out" -}}
{{- end -}}
{{- $work.namespace | default (printf "%s-work" .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{/* All namespaces of work, as JSON. */}}
{{- define "posology.workNamespaces" -}}
{{- $namespaces := list (include "posology.workNamespace" .) -}}
{{- range $team, $namespace := .Values.work.teams -}}{{- $namespaces = append $namespaces $namespace -}}{{- end -}}
{{- if and .Values.work.apart (has .Release.Namespace $namespaces) -}}
{{- fail (printf "work: %s is the release's own namespace, where the signing keys are; name another one" .Release.Namespace) -}}
{{- end -}}
{{- $namespaces | uniq | toJson -}}
{{- end -}}

{{/* "true" where an earlier release may have left workers and engines in the release's namespace. */}}
{{- define "posology.leftBehind" -}}
{{- if and .Values.work.apart (or (eq .Values.work.leftBehind "always") (and (eq .Values.work.leftBehind "upgrade") .Release.IsUpgrade)) -}}true{{- end -}}
{{- end -}}

{{/* Where pods of work may be, as JSON: namespaces of work, and the one that they moved out of. */}}
{{- define "posology.podNamespaces" -}}
{{- $namespaces := include "posology.workNamespaces" . | fromJsonArray -}}
{{- if include "posology.leftBehind" . -}}{{- $namespaces = append $namespaces .Release.Namespace -}}{{- end -}}
{{- $namespaces | uniq | toJson -}}
{{- end -}}

{{/* Fields of settings that say where pods of work are made: of PodSettings, and of EnginePods. */}}
{{- define "posology.workPlaces" -}}
{{- if .Values.work.apart -}}
{{- dict "namespace" (include "posology.workNamespace" .) "teams" (.Values.work.teams | default dict) "leftBehind" (eq (include "posology.leftBehind" .) "true") | toJson -}}
{{- else -}}{{- dict | toJson -}}{{- end -}}
{{- end -}}

{{/* As namespaceSelector of policies: list of namespaces. */}}
{{- define "posology.inNamespaces" -}}
{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}]}
{{- end -}}
