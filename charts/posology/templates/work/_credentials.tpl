{{/* The Secret with which agents read the released store. */}}
{{- define "posology.engineStorageSecret" -}}
{{- if .Values.engines.storageSecret -}}{{ .Values.engines.storageSecret }}
{{- else if and .Values.work.apart .Values.storage.secret -}}
{{- if include "posology.storageKey" (dict "root" . "kind" "released") -}}{{ include "posology.name" . }}-released{{- end -}}
{{- else -}}{{ .Values.storage.secret }}{{- end -}}
{{- end -}}

{{/* Certificates that the release makes itself, as JSON: who -> names and uses; empty where others make them. */}}
{{- define "posology.certificates" -}}
{{- if eq (include "posology.tlsMode" .) "made" -}}
{{- $root := . -}}
{{- $found := dict -}}
{{- range $service := concat (keys .Values.services | sortAlpha) (ternary (list "console") list .Values.console.enabled) (list "engine" "worker") -}}
{{- $name := printf "%s-%s" (include "posology.name" $root) $service -}}
{{- $names := list (printf "%s.%s.svc" $name $root.Release.Namespace) -}}
{{- if hasKey $root.Values.services $service -}}{{- $names = concat $names (list $name "localhost" "127.0.0.1") -}}{{- end -}}
{{- $_ := set $found $service (dict "names" $names "server" (not (has $service (list "worker" "console"))) "client" (ne $service "engine")) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
{{- end -}}

{{/* What is brought to the namespaces of work, as JSON; empty where work is beside the services. */}}
{{- define "posology.workCopies" -}}
{{- if .Values.work.apart -}}
{{- $root := . -}}
{{- $secrets := list -}}
{{- range compact (concat (list .Values.workers.secrets .Values.storage.workerSecret .Values.engines.storageSecret) .Values.images.pullSecrets) | uniq -}}
{{- $secrets = append $secrets (dict "source" . "name" .) -}}
{{- end -}}
{{- range $who := list "worker" "engine" -}}
{{- $secret := include "posology.tlsSecret" (dict "root" $root "service" $who) -}}
{{- if $secret -}}{{- $secrets = append $secrets (dict "source" $secret "name" $secret) -}}{{- end -}}
{{- end -}}
{{- if and .Values.storage.secret (not .Values.engines.storageSecret) (include "posology.engineStorageSecret" .) -}}
{{- $key := include "posology.storageKey" (dict "root" . "kind" "released") -}}
{{- $secrets = append $secrets (dict "source" .Values.storage.secret "name" (include "posology.engineStorageSecret" .) "keys" (list $key)) -}}
{{- end -}}
{{- $maps := list (printf "%s-public-keys" (include "posology.name" .)) -}}
{{- dict "namespaces" (include "posology.workNamespaces" . | fromJsonArray) "secrets" (uniq $secrets) "config_maps" $maps | toJson -}}
{{- end -}}
{{- end -}}

{{/* The pod that renews certificates and brings copies. */}}
{{- define "posology.renewal" -}}
metadata:
  labels: {{- include "posology.podLabels" (dict "root" . "component" "credentials") | nindent 4 }}
  {{- include "posology.podAnnotations" (dict "root" .) | nindent 2 }}
spec:
  serviceAccountName: {{ include "posology.name" . }}-credentials
  automountServiceAccountToken: true
  enableServiceLinks: false
  restartPolicy: Never
  securityContext: {{- include "posology.podSecurity" . | nindent 4 }}
  {{- with include "posology.placement" . }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
  - name: credentials
    image: {{ include "posology.image" (dict "root" . "repository" .Values.images.control) }}
    imagePullPolicy: {{ .Values.images.pullPolicy }}
    command: [python, -m, posology.operator.credentials, {{ include "posology.name" . }}, --renew]
    env:
    {{- with include "posology.certificates" . }}
    - {name: POSOLOGY_CERTIFICATES, value: {{ . | quote }}}
    {{- end }}
    {{- with include "posology.workCopies" . }}
    - {name: POSOLOGY_WORK_COPIES, value: {{ . | quote }}}
    {{- end }}
    resources: {{- toYaml .Values.credentials.resources | nindent 6 }}
    securityContext: {{- include "posology.containerSecurity" . | nindent 6 }}
    volumeMounts:
    - {name: tmp, mountPath: /tmp}
  volumes:
  - {name: tmp, emptyDir: {}}
{{- end -}}
