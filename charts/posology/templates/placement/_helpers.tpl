{{/* Where control pods run, and how their images are pulled: fields of a pod's spec. */}}
{{- define "posology.placement" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
- {name: {{ . }}}
{{- end }}
{{- end }}
{{- with .Values.scheduling.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.scheduling.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
