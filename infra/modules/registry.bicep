// The registry of images. Nobody signs in with a password; the services may pull.

@description('Its name, unique in Azure: 5 to 50 letters and digits.')
@minLength(5)
@maxLength(50)
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('Spread over availability zones; takes the Premium tier.')
param zoneRedundant bool

@description('A second region that has the images too; empty for none. Takes the Premium tier.')
param secondaryLocation string

@description('Where its logs go.')
param workspaceId string

@description('Who may pull.')
param pullerPrincipalIds array

var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  // checkov:skip=CKV_AZURE_139:The pipeline pushes from outside; nobody gets in without a role, and there are no passwords.
  // checkov:skip=CKV_AZURE_163:The pipeline scans each image before anything runs it; scanning here is Defender's, per subscription.
  // checkov:skip=CKV_AZURE_166:An image is deployed by the digest that the pipeline scanned, so nothing waits in quarantine.
  name: name
  location: location
  tags: tags
  sku: {
    name: zoneRedundant ? 'Premium' : 'Standard'
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    zoneRedundancy: zoneRedundant ? 'Enabled' : 'Disabled'
  }
}

resource copy 'Microsoft.ContainerRegistry/registries/replications@2025-11-01' = if (zoneRedundant && !empty(secondaryLocation)) {
  parent: registry
  name: secondaryLocation
  location: secondaryLocation
  tags: tags
  properties: {
    regionEndpointEnabled: true
    zoneRedundancy: 'Enabled'
  }
}

resource pullers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in pullerPrincipalIds: {
  name: guid(registry.id, principalId, acrPull)
  scope: registry
  properties: {
    roleDefinitionId: acrPull
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: registry
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

@description('Where to push and pull.')
output loginServer string = registry.properties.loginServer

@description('Its name, for the command line.')
output name string = registry.name
