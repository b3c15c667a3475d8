{{/* Who may call, as a service's variables say it: dict "root" $ "service" name. */}}
{{- define "posology.authentication" -}}
{{- $who := .root.Values.authentication }}
{{- if ne .service "operator" }}
- {name: POSOLOGY_AUTHENTICATION, value: {{ $who.mode }}}
- {name: POSOLOGY_AUDIENCE, value: {{ $who.audience | quote }}}
{{- if eq $who.mode "oidc" }}
{{- with $who.oidc }}
- {name: POSOLOGY_OIDC_ISSUER, value: {{ required "authentication.oidc.issuer: name the provider's URL" .issuer | quote }}}
- {name: POSOLOGY_OIDC_USERNAME_CLAIM, value: {{ .usernameClaim | quote }}}
- {name: POSOLOGY_OIDC_USERNAME_PREFIX, value: {{ .usernamePrefix | quote }}}
- {name: POSOLOGY_OIDC_GROUPS_CLAIM, value: {{ .groupsClaim | quote }}}
- {name: POSOLOGY_OIDC_GROUPS_PREFIX, value: {{ .groupsPrefix | quote }}}
{{- if .authorities }}
- {name: POSOLOGY_OIDC_CA_FILE, value: /etc/posology/provider/ca.crt}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
