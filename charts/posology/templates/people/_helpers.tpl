{{/* Who may call, as a service's variables say it: dict "root" $ "service" name. */}}
{{- define "posology.authentication" -}}
{{- $who := .root.Values.authentication }}
{{- if ne .service "operator" }}
- {name: POSOLOGY_AUTHENTICATION, value: {{ $who.mode }}}
- {name: POSOLOGY_AUDIENCE, value: {{ $who.audience | quote }}}
{{- end }}
{{- end -}}
