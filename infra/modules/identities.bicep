// Two identities a service. One is there before the first replica starts, which has to pull its image, read its secrets
// and open its store. The other is the scaler's, which counts messages: that takes more than the service may do.

@description('What names start with.')
param baseName string

@description('Where they are.')
param location string

@description('Tags of every resource.')
param tags object

@description('The services, as the catalogue lists them.')
param services array

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [for service in services: {
  name: '${baseName}-${service.name}'
  location: location
  tags: tags
}]

resource scalers 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [for service in services: {
  name: '${baseName}-${service.name}-scaler'
  location: location
  tags: tags
}]

@description('Resource ids, in the order of the services.')
output identityIds array = [for (service, i) in services: identities[i].id]

@description('Principal ids, in the order of the services.')
output principalIds array = [for (service, i) in services: identities[i].properties.principalId]

@description('Client ids, in the order of the services.')
output clientIds array = [for (service, i) in services: identities[i].properties.clientId]

@description('Resource ids of the scalers\', in the order of the services.')
output scalerIds array = [for (service, i) in services: scalers[i].id]

@description('Principal ids of the scalers\', in the order of the services.')
output scalerPrincipalIds array = [for (service, i) in services: scalers[i].properties.principalId]
