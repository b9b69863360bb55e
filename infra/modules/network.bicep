// The virtual network: one subnet for the container apps, one for private endpoints.

@description('What names start with.')
param baseName string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('The address space.')
param addressPrefix string

@description('The part of it for the container apps; a /27 or larger.')
param appsPrefix string

@description('The part of it for private endpoints.')
param endpointsPrefix string

resource endpointsRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${baseName}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'services-only'
        properties: {
          description: 'Only the container apps speak to the private endpoints.'
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsPrefix
          destinationPortRanges: [
            '443'
            '5671'
            '10250-10255'
          ]
        }
      }
      {
        name: 'nobody-else'
        properties: {
          description: 'Nobody else does.'
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: '${baseName}-network'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: appsPrefix
          delegations: [
            {
              name: 'container-apps'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          networkSecurityGroup: {
            id: endpointsRules.id
          }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

@description('The network.')
output networkId string = network.id

@description('Where the container apps are.')
output appsSubnetId string = network.properties.subnets[0].id

@description('Where private endpoints are.')
output privateEndpointsSubnetId string = network.properties.subnets[1].id
