// Logs, traces and metrics: one workspace, and Application Insights on it.

@description('What names start with.')
param baseName string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('Days for which logs are kept.')
param retentionDays int

@description('The most gigabytes a day; -1 for no limit.')
param dailyCapGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: '${baseName}-logs'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${baseName}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
  }
}

@description('The workspace.')
output workspaceId string = workspace.id

@description('Application Insights.')
output applicationInsightsId string = insights.id

@description('Its name: who needs the connection string looks it up.')
output applicationInsightsName string = insights.name

@description('The id that queries name it by.')
output applicationInsightsAppId string = insights.properties.AppId
