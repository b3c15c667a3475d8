{{/* Where control pods run, and how their images are pulled: fields of a pod's spec. What a component says wins over what
all share: dict "root" $ "pod" its values; or $ alone. */}}
{{- define "posology.placement" -}}
{{- $root := .root | default . -}}
{{- $pod := .pod | default dict -}}
{{- $all := $root.Values.scheduling -}}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
- {name: {{ . }}}
{{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with (index $pod $key) | default (index $all $key) }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key, $field := dict "priorityClass" "priorityClassName" "schedulerName" "schedulerName" "runtimeClass" "runtimeClassName" }}
{{- with (index $pod $key) | default (index $all $key) }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
