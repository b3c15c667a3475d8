{{/* Variables by which policies look at whatever makes pods. */}}
{{- define "posology.cel.variables" -}}
- name: pod
  expression: >-
    object.kind == "Pod" ? dyn(object) : object.kind == "CronJob" ? dyn(object.spec.jobTemplate.spec.template) : dyn(object.spec.template)
- name: containers
  expression: >-
    variables.pod.spec.containers + (has(variables.pod.spec.initContainers) ? variables.pod.spec.initContainers : []) +
    (has(variables.pod.spec.ephemeralContainers) ? variables.pod.spec.ephemeralContainers : [])
- name: volumes
  expression: "has(variables.pod.spec.volumes) ? variables.pod.spec.volumes : []"
- name: account
  expression: "has(variables.pod.spec.serviceAccountName) ? variables.pod.spec.serviceAccountName : ''"
{{- end -}}

{{/* Whether a pod reads any Secret, by whichever way, whose name `x` fulfils `test`: dict "test" CEL. */}}
{{- define "posology.cel.reads" -}}
variables.volumes.exists(v, has(v.secret) && [v.secret.secretName].exists(x, {{ .test }})) ||
variables.volumes.exists(v, has(v.projected) && has(v.projected.sources) && v.projected.sources.exists(s, has(s.secret) && [s.secret.name].exists(x, {{ .test }}))) ||
variables.containers.exists(c, has(c.envFrom) && c.envFrom.exists(e, has(e.secretRef) && [e.secretRef.name].exists(x, {{ .test }}))) ||
variables.containers.exists(c, has(c.env) && c.env.exists(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef) && [e.valueFrom.secretKeyRef.name].exists(x, {{ .test }})))
{{- end -}}

{{/* A list of texts in CEL: list of texts. */}}
{{- define "posology.cel.list" -}}
[{{ range $i, $text := . }}{{ if $i }}, {{ end }}{{ $text | quote }}{{ end }}]
{{- end -}}
