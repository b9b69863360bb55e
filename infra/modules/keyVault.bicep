// The keys of the platform. They are put in by hand or by the pipeline, never by a deployment, so that none is in a
// template's history; docs/run/azure.md has the commands.

@description('Its name, unique in Azure: 3 to 24 characters.')
@minLength(3)
@maxLength(24)
param name string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('Where its logs go.')
param workspaceId string

@description('Who may read secrets.')
param readerPrincipalIds array

@description('Who may write them; empty for nobody.')
param operatorPrincipalId string

@description('What kind of principal that is.')
param operatorPrincipalType string

@description('Whether it is reached over the public address, too.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('Whether a deleted vault is kept whoever asks. Its name is taken until its time is over, so the same platform can not be made again before.')
param purgeProtection bool

@description('The subnet of its private endpoint; empty for none.')
param privateEndpointsSubnetId string

@description('The network of that subnet.')
param networkId string

var secretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
var secretsOfficer = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7')
var isPrivate = !empty(privateEndpointsSubnetId)

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  // checkov:skip=CKV_AZURE_110:Protected wherever somebody sells (prod); a trial has to be made again under its name.
  // checkov:skip=CKV_AZURE_42:The same: kept for 90 days where somebody sells, 7 in a trial.
  // checkov:skip=CKV_AZURE_109:Denies wherever there is a network (prod); a trial without one is behind roles alone.
  // checkov:skip=CKV_AZURE_189:Disabled wherever there is a network (prod); a trial without one is behind roles alone.
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: purgeProtection ? 90 : 7
    // once true it stays true, and false is refused: it is left out
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource readers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in readerPrincipalIds: {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: secretsUser
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource operator 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  name: guid(vault.id, operatorPrincipalId, secretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: secretsOfficer
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
  }
}

module endpoint 'privateEndpoint.bicep' = if (isPrivate) {
  name: 'vault-endpoint'
  params: {
    name: '${name}-endpoint'
    location: location
    tags: tags
    targetId: vault.id
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
    subnetId: privateEndpointsSubnetId
    networkId: networkId
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
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

@description('The vault.')
output id string = vault.id

@description('Its name.')
output name string = vault.name

@description('Where it answers, with a slash at its end.')
output uri string = vault.properties.vaultUri
